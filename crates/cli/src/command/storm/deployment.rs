//! An Orderly that a storm may hurt: this program's own processes, on private servers. All of it ends with the servers, also when
//! this process is killed.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use futures_util::{FutureExt, future::BoxFuture};
use orderly_checker::storm::{Deployment, Role, Server, Servers, Ways};
use orderly_devenv::{DevEnv, Port, ServerProcess};
use serde_json::{Map, Value};
use tokio::process::Command;
use url::Url;

use crate::dev::{private::Place, server::with_port};

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

    /// Every node of a cluster, past the link that a storm may hurt: it must be asked, whatever became of that.
    fn nodes(&self) -> anyhow::Result<Vec<String>> {
        match self.servers.brokers()[..] {
            [_] => Ok(Vec::new()),
            ref brokers => brokers
                .iter()
                .map(|(_, port)| with_port(&self.broker_url, *port))
                .collect(),
        }
    }

    fn server(&self, server: Server) -> &ServerProcess {
        match server {
            Server::Database => self.servers.postgres(),
            Server::Broker(number) => self.servers.brokers()[number].0,
        }
    }
}

fn there(server: Server, is_there: bool) -> anyhow::Result<()> {
    ensure!(is_there, "{server:?} does not run");
    Ok(())
}

/// Whether a node's own report names so many running nodes, and nobody from whom it was parted.
fn sees_all(report: &str, brokers: usize) -> bool {
    let report: Value = serde_json::from_str(report).unwrap_or_default();
    let running = report["running_nodes"].as_array().map(Vec::len);
    let parted = report["partitions"].as_object().map(Map::len);
    running == Some(brokers) && parted == Some(0)
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
                with_port(&self.database_url, ways.database)?,
            )
            .env(
                "ORDERLY_AMQP_URL",
                with_port(&self.broker_url, ways.broker)?,
            )
            .env("ORDERLY_AMQP_NODES", self.nodes()?.join(","));
        Ok(command.into())
    }

    fn servers(&self) -> Servers {
        let brokers = self.servers.brokers();
        Servers {
            database: port_of(&self.database_url),
            brokers: brokers.into_iter().map(|(_, port)| port).collect(),
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

    fn freeze(&self, server: Server) -> anyhow::Result<()> {
        there(server, self.server(server).freeze())
    }

    fn thaw(&self, server: Server) -> anyhow::Result<()> {
        there(server, self.server(server).thaw())
    }

    fn is_in_cluster(&self, broker: usize) -> BoxFuture<'_, bool> {
        async move {
            let arguments = ["cluster_status", "--formatter", "json"];
            let said = self.servers.rabbitmqctl_on(broker, &arguments).await;
            // One that has stopped itself says nothing.
            said.is_ok_and(|said| sees_all(&said, self.servers.brokers().len()))
        }
        .boxed()
    }

    fn rejoin(&self, broker: usize) -> BoxFuture<'_, anyhow::Result<()>> {
        async move {
            for command in ["stop_app", "start_app"] {
                let said = self.servers.rabbitmqctl_on(broker, &[command]).await;
                said.with_context(|| format!("{command} of broker {}", broker + 1))?;
            }
            Ok(())
        }
        .boxed()
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

fn port_of(url: &str) -> u16 {
    let url: Option<Url> = url.parse().ok();
    url.and_then(|url| url.port())
        .expect("private servers listen on ports of their own")
}

#[cfg(test)]
mod tests {
    use super::sees_all;

    #[test]
    fn a_node_that_sees_fewer_or_was_parted_is_not_among_the_others() {
        let report = |running: &str, partitions: &str| {
            format!(r#"{{"running_nodes": {running}, "partitions": {partitions}}}"#)
        };
        let three = r#"["a", "b", "c"]"#;
        assert!(sees_all(&report(three, "{}"), 3));
        assert!(!sees_all(&report(r#"["a"]"#, "{}"), 3));
        assert!(!sees_all(&report(three, r#"{"a": ["b"]}"#), 3));
        assert!(!sees_all("Error: the node is down", 3));
    }
}
