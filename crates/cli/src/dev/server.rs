//! The servers of `orderly dev`: private ones, or given ones.

use std::path::Path;

use anyhow::{Context, anyhow};
use orderly_checker::storm::Link;
use orderly_devenv::{DevEnv, DevEnvOptions};
use url::Url;

/// Servers that are up.
pub(crate) enum Servers {
    /// Ended with this process.
    Private {
        servers: Box<DevEnv>,
        /// To whichever broker answers, if there are several.
        balancer: Option<Link>,
    },
    /// Somebody else's.
    Given {
        database_url: String,
        amqp_url: String,
    },
}

impl Servers {
    pub(super) async fn start(
        data_dir: &Path,
        keep: bool,
        brokers: u16,
        given: Option<(String, String)>,
    ) -> anyhow::Result<Self> {
        if let Some((database_url, amqp_url)) = given {
            return Ok(Self::Given {
                database_url,
                amqp_url,
            });
        }
        eprintln!("starting PostgreSQL and RabbitMQ …");
        let options = DevEnvOptions {
            data_dir: data_dir.to_owned(),
            keep,
            redis: false,
            brokers,
            management: false,
        };
        let servers = DevEnv::start(options).await.context("start the servers")?;
        let ports: Vec<u16> = servers.brokers().iter().map(|(_, port)| *port).collect();
        let balancer = match ports.len() {
            1 => None,
            _ => Some(Link::open(ports).await?),
        };
        Ok(Self::Private {
            servers: Box::new(servers),
            balancer,
        })
    }

    pub(super) fn database_url(&self) -> String {
        match self {
            Self::Private { servers, .. } => servers.database_url(),
            Self::Given { database_url, .. } => database_url.clone(),
        }
    }

    pub(super) fn amqp_url(&self) -> anyhow::Result<String> {
        match self {
            Self::Private { servers, balancer } => match balancer {
                Some(link) => with_port(&servers.amqp_url(), link.port()),
                None => Ok(servers.amqp_url()),
            },
            Self::Given { amqp_url, .. } => Ok(amqp_url.clone()),
        }
    }

    /// Each node of a cluster; none where there is one broker, or where somebody else knows.
    pub(crate) fn amqp_nodes(&self) -> anyhow::Result<Vec<String>> {
        let Self::Private {
            servers,
            balancer: Some(_),
        } = self
        else {
            return Ok(Vec::new());
        };
        let url = servers.amqp_url();
        let ports = servers.brokers();
        ports
            .iter()
            .map(|(_, port)| with_port(&url, *port))
            .collect()
    }

    /// The private ones.
    pub(crate) fn private(&self) -> Option<&DevEnv> {
        match self {
            Self::Private { servers, .. } => Some(servers),
            Self::Given { .. } => None,
        }
    }

    /// Ends the private ones.
    pub(super) async fn stop(self) {
        if let Self::Private { servers, .. } = self {
            eprintln!("stopping PostgreSQL and RabbitMQ …");
            servers.stop().await;
        }
    }
}

/// The same server by another port of this machine.
pub(crate) fn with_port(url: &str, port: u16) -> anyhow::Result<String> {
    let mut url: Url = url.parse().context("a server's URL")?;
    url.set_port(Some(port))
        .map_err(|()| anyhow!("a server's URL has no port"))?;
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn another_way_changes_the_port_alone() {
        let url = "amqp://u:p%2F@127.0.0.1:20001/%2F";
        assert_eq!(with_port(url, 7).unwrap(), "amqp://u:p%2F@127.0.0.1:7/%2F");
    }
}
