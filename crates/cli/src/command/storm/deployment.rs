//! An Orderly that a storm may hurt: this program's own processes, on private servers. All of it ends with the servers, also when
//! this process is killed.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use futures_util::{FutureExt, future::BoxFuture};
use orderly_checker::storm::{Deployment, Role, Server, Ways};
use orderly_devenv::{DevEnv, Port, ServerProcess};
use tokio::process::Command;
use url::Url;

use crate::dev::private::Place;

/// As of a private Orderly: what is wrong shows in the verdict, and a slow moment is no news.
const LOG: &str = "off";

/// The processes' part of it.
pub(super) struct PrivateDeployment<'a> {
    program: PathBuf,
    servers: &'a DevEnv,
    database_url: String,
    broker_url: String,
    /// The ingress's: the same over any number of starts, as behind a load balancer.
    port: Port,
}

impl<'a> PrivateDeployment<'a> {
    pub(super) fn new(place: &Place<'a>) -> anyhow::Result<Self> {
        let servers = place.servers.private();
        Ok(Self {
            program: std::env::current_exe().context("find this program")?,
            servers: servers.context("the servers are not private")?,
            database_url: place.database_url.clone(),
            broker_url: place.amqp_url.clone(),
            port: Port::reserve(None)?,
        })
    }

    pub(super) fn ingress_url(&self) -> String {
        format!("http://{}", self.ingress_address())
    }

    fn ingress_address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    fn server(&self, server: Server) -> &ServerProcess {
        match server {
            Server::Database => self.servers.postgres(),
            Server::Broker => self.servers.rabbitmq(),
        }
    }
}

impl Deployment for PrivateDeployment<'_> {
    /// What it needs stands in its environment, which others cannot read; a command line they can.
    fn process(&self, name: &str, role: Role, ways: Ways) -> anyhow::Result<Command> {
        let (role, address) = match role {
            Role::Worker => ("worker", "127.0.0.1:0".to_owned()),
            Role::Ingress => ("ingress", self.ingress_address()),
        };
        let mut command = self.servers.companion(name, &self.program)?;
        command
            .args([role, "--http-addr", &address, "--log", LOG])
            .env(
                "ORDERLY_DATABASE_URL",
                by(&self.database_url, ways.database)?,
            )
            .env("ORDERLY_AMQP_URL", by(&self.broker_url, ways.broker)?);
        Ok(command.into())
    }

    fn ways(&self) -> Ways {
        Ways {
            database: port_of(&self.database_url),
            broker: port_of(&self.broker_url),
        }
    }

    fn database_url(&self) -> &str {
        &self.database_url
    }

    fn kill(&self, server: Server) -> BoxFuture<'_, ()> {
        self.server(server).kill().boxed()
    }

    fn start(&self, server: Server) -> BoxFuture<'_, anyhow::Result<()>> {
        async move { Ok(self.server(server).start().await?) }.boxed()
    }

    fn alarm(&self, raised: bool) -> BoxFuture<'_, anyhow::Result<()>> {
        let call = if raised {
            "rabbit_alarm:set_alarm({{resource_limit, disk, node()}, []})."
        } else {
            "rabbit_alarm:clear_alarm({resource_limit, disk, node()})."
        };
        async move {
            let said = self.servers.rabbitmqctl(&["eval", call]).await;
            said.map(drop).context("set the broker's alarm")
        }
        .boxed()
    }
}

/// The same server by another port of this machine.
fn by(url: &str, port: u16) -> anyhow::Result<String> {
    let mut url: Url = url.parse().context("a server's URL")?;
    url.set_port(Some(port))
        .map_err(|()| anyhow!("a server's URL has no port"))?;
    Ok(url.into())
}

fn port_of(url: &str) -> u16 {
    let url: Option<Url> = url.parse().ok();
    url.and_then(|url| url.port())
        .expect("private servers listen on ports of their own")
}

#[cfg(test)]
mod tests {
    use super::{by, port_of};

    #[test]
    fn a_way_changes_the_port_alone() {
        let url = "amqp://u:p%2F@127.0.0.1:20001/%2F";
        let other = by(url, 7).unwrap();
        assert_eq!(other, "amqp://u:p%2F@127.0.0.1:7/%2F");
        assert_eq!(port_of(&other), 7);
    }
}
