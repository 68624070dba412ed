//! The roles as processes: what each is given, and what all have in common.
//!
//! Owns the wiring; each role's work is its crate's.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use orderly_broker::{BrokerConfig, CommandPublisher, GenerationSource};
use orderly_http::Keyring;
use orderly_store::{SessionProfile, Store, StoreOptions};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::Targets;
use uuid::Uuid;

pub(crate) mod dashboard;
pub(crate) mod ingress;
pub(crate) mod payments;
pub(crate) mod relay;
pub(crate) mod worker;

use crate::{
    config::{Settings, parse},
    lifecycle::Lifecycle,
    operator::host,
    telemetry::{self, LogFormat},
    watchdog,
};

/// The flags of every role.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleFlags {
    /// PostgreSQL [env: ORDERLY_DATABASE_URL, ORDERLY_DATABASE_URL_FILE]
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    database_url: Option<String>,
    /// RabbitMQ [env: ORDERLY_AMQP_URL, ORDERLY_AMQP_URL_FILE]
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    amqp_url: Option<String>,
    /// Address of the listener [env: ORDERLY_HTTP_ADDR]
    #[arg(long, value_name = "ADDRESS", help_heading = "Connection")]
    http_addr: Option<String>,
    #[command(flatten)]
    logging: LogFlags,
}

/// How a long-running process logs.
#[derive(Debug, clap::Args)]
pub(crate) struct LogFlags {
    /// What is logged, such as info,orderly_worker=debug [env: ORDERLY_LOG]
    #[arg(long, value_name = "FILTER", help_heading = "Logging")]
    log: Option<String>,
    /// text or json [env: ORDERLY_LOG_FORMAT] [default: text on a terminal, else json]
    #[arg(long, value_name = "FORMAT", help_heading = "Logging")]
    log_format: Option<String>,
}

/// What every role is given.
pub(crate) struct RoleConfig {
    pub(crate) database_url: String,
    pub(crate) amqp_url: String,
    pub(crate) http_addr: SocketAddr,
    pub(crate) logging: Logging,
}

pub(crate) struct Logging {
    pub(crate) filter: Targets,
    pub(crate) format: LogFormat,
}

/// The roles, and where each listens unless told otherwise.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Ingress,
    Dashboard,
    Worker,
    Relay,
    Payments,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Dashboard => "dashboard",
            Self::Worker => "worker",
            Self::Relay => "relay",
            Self::Payments => "payments",
        }
    }

    /// Loopback: what listens to the world is for the operator to say.
    fn default_http_addr(self) -> SocketAddr {
        let port = match self {
            Self::Ingress => 8080,
            Self::Dashboard => 8081,
            Self::Worker => 8082,
            Self::Relay => 8083,
            Self::Payments => 8084,
        };
        SocketAddr::from(([127, 0, 0, 1], port))
    }
}

/// lapin reports what its caller is told anyway, and every returned message, probes included, with all its properties.
const DEFAULT_LOG: &str = "info,lapin=off";

impl RoleFlags {
    /// Looks the common settings up; faults stay in `settings` until it is finished.
    pub(crate) fn look_up(&self, settings: &mut Settings, role: Role) -> Option<RoleConfig> {
        let database_url = settings.required(
            self.database_url.as_ref(),
            "ORDERLY_DATABASE_URL",
            parse::database_url,
        );
        let amqp_url =
            settings.required(self.amqp_url.as_ref(), "ORDERLY_AMQP_URL", parse::amqp_url);
        let default = role.default_http_addr();
        let http_addr = settings.or_default(
            self.http_addr.as_ref(),
            "ORDERLY_HTTP_ADDR",
            default,
            parse::socket_address,
        );
        let logging = self.logging.look_up(settings, DEFAULT_LOG);
        Some(RoleConfig {
            database_url: database_url?,
            amqp_url: amqp_url?,
            http_addr: http_addr?,
            logging: logging?,
        })
    }
}

impl LogFlags {
    pub(crate) fn look_up(&self, settings: &mut Settings, default: &str) -> Option<Logging> {
        let default = telemetry::log_filter(default).expect("a default is a filter");
        let filter = settings.or_default(
            self.log.as_ref(),
            "ORDERLY_LOG",
            default,
            telemetry::log_filter,
        );
        let default = LogFormat::of_stderr();
        let format = settings.or_default(
            self.log_format.as_ref(),
            "ORDERLY_LOG_FORMAT",
            default,
            LogFormat::parse,
        );
        Some(Logging {
            filter: filter?,
            format: format?,
        })
    }
}

/// A process that runs roles: its life, its logs, its metrics.
pub(crate) struct Process {
    pub(crate) lifecycle: Lifecycle,
    metrics: PrometheusHandle,
}

impl Process {
    pub(crate) fn start(logging: Logging) -> anyhow::Result<Self> {
        telemetry::log(logging.format, logging.filter)?;
        telemetry::abort_on_panic();
        watchdog::start().context("start the watchdog")?;
        let lifecycle = Lifecycle::new()?;
        let metrics = telemetry::count()?;
        lifecycle.tracker().spawn(telemetry::upkeep(
            metrics.clone(),
            lifecycle.token().clone(),
        ));
        Ok(Self { lifecycle, metrics })
    }

    /// `/livez`, `/readyz` and `/metrics` of this process.
    pub(crate) fn probes(&self) -> Router {
        let metrics = self.metrics.clone();
        orderly_http::probe_router(self.lifecycle.readiness().clone(), move || metrics.render())
    }

    /// Serves `router` until the drain; then cancels `served`, for what the requests in flight still needed.
    pub(crate) fn serve(
        &self,
        name: &'static str,
        listener: TcpListener,
        router: Router,
        served: CancellationToken,
    ) {
        let token = self.lifecycle.token().clone();
        self.lifecycle.run(name, async move {
            orderly_http::serve(listener, router, token).await;
            served.cancel();
            Ok(())
        });
    }

    /// Serves the probes alone.
    pub(crate) fn serve_probes(&self, listener: TcpListener) {
        self.serve("probes", listener, self.probes(), CancellationToken::new());
    }

    /// The API keys, kept fresh until the drain.
    pub(crate) fn keyring(&self, store: &Store) -> Keyring {
        let check = self.lifecycle.readiness().check("keys");
        Keyring::start(
            store.clone(),
            check,
            self.lifecycle.tracker(),
            self.lifecycle.token(),
        )
    }

    /// A publisher of commands that follows the generation until `token` is cancelled: whoever publishes by it has ended
    /// before that.
    pub(crate) fn command_publisher(
        &self,
        store: &Store,
        broker: BrokerConfig,
        token: &CancellationToken,
    ) -> CommandPublisher {
        let tracker = self.lifecycle.tracker();
        let followed = store.watch_generation(tracker, token);
        let (publish, current) = watch::channel(None);
        let mut loaded = followed.current.clone();
        let token_of_task = token.clone();
        tracker.spawn(async move {
            loop {
                let layout = loaded.borrow_and_update().layout;
                publish.send_replace(layout.map(|layout| orderly_broker::Layout {
                    generation: layout.generation,
                    shard_count: layout.shard_count,
                }));
                let next = token_of_task.run_until_cancelled(loaded.changed()).await;
                let Some(Ok(())) = next else { return };
            }
        });
        let generations = GenerationSource {
            current,
            reload: followed.reload,
        };
        CommandPublisher::start(broker, generations, tracker, token.clone())
    }
}

/// Takes the address, before anything else is begun: a second process on it must not touch the servers first.
pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))?;
    // Not what was asked for: port 0 asks for any.
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}

/// A store whose first connection is opened when it is needed: a role starts while the database is away.
pub(crate) fn store(
    url: &str,
    role: Role,
    profile: SessionProfile,
    max_connections: u32,
) -> anyhow::Result<Store> {
    let application_name = format!("orderly {}", role.as_str());
    let options = StoreOptions {
        application_name,
        max_connections,
        profile,
    };
    Ok(Store::connect_lazy(url, &options)?)
}

pub(crate) fn broker(url: &str, role: Role) -> BrokerConfig {
    BrokerConfig::new(url, format!("orderly {}", instance(role)))
}

/// Names this run of this process; never the same again.
pub(crate) fn instance(role: Role) -> String {
    let host = host();
    let run = Uuid::new_v4().simple().to_string();
    format!(
        "{}.{host}.{}.{}",
        role.as_str(),
        std::process::id(),
        &run[..8]
    )
}
