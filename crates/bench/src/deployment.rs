//! A whole Orderly: its database and virtual host, its roles as processes, a key, and stock.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use orderly_domain::ProducerId;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::load::{self, Caller, HttpConnection, Kind, Load, Pace, SKUS};
use crate::procfs::Group;
use crate::program::{Program, Role};
use crate::visible::Watcher;

/// Every role, as they are deployed.
pub(crate) const ROLES: [&str; 5] = ["ingress", "worker", "relay", "payments", "dashboard"];
/// Young quorum queues are not crash-safe; nothing crashes here. Still let them settle: elections cost CPU.
const SETTLE_SECONDS: &str = "2";
/// Pieces of each SKU: more than any run places.
const ON_HAND: u64 = 1_000_000_000;
/// Connections that place the orders of a load.
const PLACING: usize = 64;

/// Orderly, running.
pub(crate) struct Deployment {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) roles: Vec<Role>,
    pub(crate) caller: Caller,
    pub(crate) watcher: Watcher,
    clock: Clock,
}

/// A deployment on servers of its own, for what is measured by itself.
pub(crate) struct Alone {
    pub(crate) clock: Clock,
    pub(crate) servers: Environment,
    pub(crate) deployment: Deployment,
}

impl Alone {
    /// Starts servers and `roles`, a name as often as it is given; stock is there, and everything is warm.
    pub(crate) async fn start(name: &str, roles: &[&str], orderly: Option<&Path>) -> Result<Self> {
        let clock = Clock::start();
        eprintln!("starting PostgreSQL and RabbitMQ …");
        let servers = Environment::start(None).await?;
        let path = crate::bench::program_path(orderly)?;
        let deployer = Deployer { path, clock };
        let program = deployer.prepare(&servers, name).await?;
        let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        let deployment = deployer.start(program, &roles).await?;
        deployment.stock().await?;
        deployment.warm(1).await?;
        Ok(Self {
            clock,
            servers,
            deployment,
        })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.deployment.remove(&self.servers).await?;
        self.servers.stop().await;
        Ok(())
    }
}

/// Makes databases and virtual hosts and starts Orderly on them.
#[derive(Clone, Debug)]
pub(crate) struct Deployer {
    /// The program.
    pub(crate) path: std::path::PathBuf,
    pub(crate) clock: Clock,
}

impl Deployer {
    /// Migrates a fresh database and declares a topology in a fresh virtual host, both called `name`.
    pub(crate) async fn prepare(&self, servers: &Environment, name: &str) -> Result<Program> {
        servers.create_database(name, None).await?;
        servers.create_vhost(name).await?;
        let program = Program {
            path: self.path.clone(),
            database_url: servers.database_url(name),
            amqp_url: servers.amqp_url(name),
            folder: servers.folder(),
            deployment: name.to_owned(),
        };
        program.run(&["migrate"]).await?;
        program
            .run(&["topology", "apply", "--settle-seconds", SETTLE_SECONDS])
            .await?;
        Ok(program)
    }

    /// Starts these roles of a prepared Orderly.
    pub(crate) async fn start(&self, program: Program, roles: &[String]) -> Result<Deployment> {
        let key = program
            .run(&[
                "keys", "create", "--name", "bench", "--scopes", "all", "-o", "json",
            ])
            .await?;
        let key: Value = serde_json::from_str(&key).context("read the key")?;
        let token = key["key"].as_str().context("no key was printed")?;
        let producer = key["producer"]
            .as_str()
            .context("no producer was printed")?;
        let caller = Caller {
            token: token.to_owned(),
            producer: ProducerId(producer.parse()?),
            wait: false,
        };
        let mut started = Vec::new();
        for role in roles {
            started.push(program.start(role).await?);
        }
        let watcher = Watcher::start(&program.amqp_url, self.clock).await?;
        let deployment = Deployment {
            name: program.deployment.clone(),
            program,
            roles: started,
            caller,
            watcher,
            clock: self.clock,
        };
        Ok(deployment)
    }
}

impl Deployment {
    /// The role with this name, if it runs.
    pub(crate) fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    pub(crate) fn ingress(&self) -> Result<SocketAddr> {
        let ingress = self.role("ingress").context("no ingress runs")?;
        Ok(ingress.address)
    }

    pub(crate) fn groups(&self) -> Vec<Group> {
        self.roles.iter().filter_map(Role::group).collect()
    }

    /// Sets the stock by HTTP. A dashboard that is left out runs just for that.
    pub(crate) async fn stock(&self) -> Result<()> {
        if let Some(dashboard) = self.role("dashboard") {
            return self.set_stock(dashboard.address).await;
        }
        let dashboard = self.program.start("dashboard").await?;
        self.set_stock(dashboard.address).await?;
        dashboard.stop().await
    }

    async fn set_stock(&self, dashboard: SocketAddr) -> Result<()> {
        let mut connection = HttpConnection::open(dashboard).await?;
        for sku in SKUS {
            let body = format!(r#"{{"on_hand":{ON_HAND}}}"#);
            let request = format!(
                "PUT /v1/stock/{sku} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.caller.token,
                body.len()
            );
            let mut answer = Vec::new();
            let status = connection
                .exchange(request.as_bytes(), Some(&mut answer))
                .await?;
            if status != 200 {
                bail!(
                    "stock was refused ({status}): {}",
                    String::from_utf8_lossy(&answer)
                );
            }
        }
        Ok(())
    }

    /// Places `count` new orders through the ingress and returns when all are applied.
    pub(crate) async fn place(&self, count: usize) -> Result<Arc<[Uuid]>> {
        let orders: Arc<[Uuid]> = (0..count).map(|_| Uuid::now_v7()).collect();
        let address = self.ingress()?;
        let caller = Caller {
            wait: true,
            ..self.caller.clone()
        };
        // Each connection takes its share, one order after the other.
        let share = count.div_ceil(PLACING);
        let placing = orders.chunks(share).map(|part| {
            let (mut template, part) = (load::Template::new(Kind::Place, &caller), part.to_vec());
            async move {
                let mut connection = HttpConnection::open(address).await?;
                for order in part {
                    template.set(0, order, 0);
                    let mut answer = Vec::new();
                    let status = connection
                        .exchange(template.bytes(), Some(&mut answer))
                        .await?;
                    if status != 201 {
                        bail!(
                            "an order was not placed ({status}): {}",
                            String::from_utf8_lossy(&answer)
                        );
                    }
                }
                Ok(())
            }
        });
        futures_util::future::try_join_all(placing).await?;
        Ok(orders)
    }

    /// Does this build have the batch endpoint?
    pub(crate) async fn has_batches(&self) -> Result<bool> {
        let template = load::Template::new(Kind::Batch(1), &self.caller);
        let mut connection = HttpConnection::open(self.ingress()?).await?;
        let status = connection.exchange(template.bytes(), None).await?;
        Ok(!matches!(status, 404 | 405))
    }

    /// Sends a little, so that connections, plans and caches are there before anything is measured.
    pub(crate) async fn warm(&self, first_key: u64) -> Result<()> {
        let load = Load {
            address: self.ingress()?,
            caller: self.caller.clone(),
            kind: Kind::Annotate,
            orders: self.place(64).await?,
            connections: 64,
            pace: Pace::Closed,
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(1),
            first_key,
        };
        let window = load.window(self.clock);
        let sent = load::run(load, self.clock, window).await?;
        self.watcher.reached(&sent).await?;
        self.watcher.take();
        Ok(())
    }

    /// Ends all roles and removes what was made for them.
    pub(crate) async fn remove(self, servers: &Environment) -> Result<()> {
        drop(self.watcher);
        for role in self.roles {
            role.stop().await?;
        }
        servers.drop_database(&self.name).await?;
        servers.drop_vhost(&self.name).await
    }
}
