//! An Orderly that a storm may hurt: this program's own processes, on private servers. All of it ends with the servers, also when
//! this process is killed.

use std::path::PathBuf;

use anyhow::Context;
use futures_util::{FutureExt, future::BoxFuture};
use orderly_checker::storm::{Deployment, Role, Server, Servers, Ways};
use orderly_devenv::{DevEnv, Port, ServerProcess};
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

    fn server(&self, server: Server) -> &ServerProcess {
        match server {
            Server::Database => self.servers.postgres(),
            Server::Broker(number) => self.servers.brokers()[number].0,
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
                with_port(&self.database_url, ways.database)?,
            )
            .env(
                "ORDERLY_AMQP_URL",
                with_port(&self.broker_url, ways.broker)?,
            );
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
