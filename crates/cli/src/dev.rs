//! `orderly dev`: everything on this machine with one command.
//!
//! Owns the order of things: servers, schema, topology, roles, key, stock, panel. Leaves nothing running behind.

use std::{
    net::SocketAddr,
    path::PathBuf,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use orderly_broker::BrokerConfig;
use orderly_dashboard::CookieSecurity;
use orderly_http::Readiness;
use orderly_payments::SandboxOptions;
use orderly_protocol::limits;
use orderly_store::{SessionProfile, Store};
use orderly_worker::{Resizing, SkipUndecidable};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod demo;
mod env_file;
mod key;
mod listener;
mod panel;
pub(crate) mod private;
pub(crate) mod server;

use crate::{
    client::{Client, Urls},
    command::{migrate, topology},
    config::{DATA_DIR, Settings, parse},
    database,
    exit::Exit,
    lifecycle::Lifecycle,
    role::{self, LogFlags, Logging, Process, Role, payments::SandboxFlags},
};
use env_file::EnvFile;
use key::DevKey;
use panel::Panel;
use server::Servers;

/// Run everything on this machine: servers, every role, a key, some stock
///
/// Starts a private PostgreSQL and RabbitMQ from the programs that are installed here, and ends them with Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly dev
  orderly dev --demo
  orderly dev --keep --data-dir /var/tmp/orderly
  orderly dev --database-url postgres://… --amqp-url amqp://…")]
pub(crate) struct DevArgs {
    /// Post realistic traffic
    #[arg(long)]
    demo: bool,
    /// Keep the data after the end
    #[arg(long)]
    keep: bool,
    /// Where the servers keep their data, and the file `env` for other commands [env: ORDERLY_DATA_DIR]
    /// [default: .orderly]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address of the listener [env: ORDERLY_HTTP_ADDR] [default: the first free port from 127.0.0.1:8080 on]
    #[arg(long, value_name = "ADDRESS")]
    http_addr: Option<String>,
    /// Use this PostgreSQL instead of a private one; with --amqp-url
    #[arg(long, value_name = "URL", requires = "amqp_url")]
    database_url: Option<String>,
    /// Use this RabbitMQ instead of a private one; with --database-url
    #[arg(long, value_name = "URL", requires = "database_url")]
    amqp_url: Option<String>,
    #[command(flatten)]
    sandbox: SandboxFlags,
    #[command(flatten)]
    logging: LogFlags,
}

struct DevConfig {
    data_dir: PathBuf,
    keep: bool,
    demo: bool,
    /// Of its own.
    brokers: u16,
    http_addr: Option<SocketAddr>,
    given: Option<(String, String)>,
    sandbox: SandboxOptions,
}

/// Measured: a single node that was killed 2 s after a queue's declaration had it again. Nothing here is worth the 10 s
/// of `topology apply`.
const SETTLE: Duration = Duration::from_secs(3);
/// Roles connect in well under a second; a machine that builds beside this takes longer.
const READY_LIMIT: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(20);
/// A screen for people: a slow moment of a machine that builds beside this is no news.
const DEFAULT_LOG: &str = "warn,lapin=off,sqlx=error";
/// As for an ingress and a dashboard, together.
const HTTP_CONNECTIONS: u32 = 16;

pub(crate) async fn run(args: DevArgs) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let (config, logging) = config(&args)?;
    let mut process = Process::start(logging)?;
    let listener = listener::open(config.http_addr).await?;
    let servers = start_servers(&mut process.lifecycle, &config).await?;
    let result = Box::pin(serve(process, &servers, listener, config, began)).await;
    servers.stop().await;
    result.map(|()| Exit::Ok)
}

/// A signal ends the start too, as soon as what has begun can be ended in order.
async fn start_servers(lifecycle: &mut Lifecycle, config: &DevConfig) -> anyhow::Result<Servers> {
    let given = config.given.clone();
    let starting = Servers::start(&config.data_dir, config.keep, config.brokers, given);
    let mut starting = pin!(starting);
    tokio::select! {
        servers = &mut starting => return servers,
        () = lifecycle.signalled() => eprintln!("stopping …"),
    }
    tokio::select! {
        servers = starting => servers?.stop().await,
        // Their guardian ends them when this process has ended.
        () = lifecycle.signalled() => {}
    }
    bail!("stopped while starting")
}

fn config(args: &DevArgs) -> anyhow::Result<(DevConfig, Logging)> {
    let mut settings = Settings::for_role();
    let path = |text: &str| Ok(PathBuf::from(text));
    let data_dir = settings.or_default(
        args.data_dir.as_ref(),
        "ORDERLY_DATA_DIR",
        DATA_DIR.into(),
        path,
    );
    let http_addr = settings.optional(
        args.http_addr.as_ref(),
        "ORDERLY_HTTP_ADDR",
        parse::socket_address,
    );
    let mut url = |flag: &Option<String>, name, parse: fn(&str) -> Result<String, String>| {
        flag.as_ref()
            .and_then(|flag| settings.optional(Some(flag), name, parse))
    };
    // Flags only: a variable that is set for other commands must not move `dev` onto a database that matters.
    let database_url = url(
        &args.database_url,
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let amqp_url = url(&args.amqp_url, "ORDERLY_AMQP_URL", parse::amqp_url);
    let sandbox = args.sandbox.look_up(&mut settings);
    let logging = args.logging.look_up(&mut settings, DEFAULT_LOG);
    Ok(settings.finish(|| {
        let config = DevConfig {
            data_dir: data_dir?,
            keep: args.keep,
            demo: args.demo,
            brokers: 1,
            http_addr,
            given: database_url.zip(amqp_url),
            sandbox: sandbox?,
        };
        Some((config, logging?))
    })?)
}

/// Everything between the start of the servers and their end.
async fn serve(
    mut process: Process,
    servers: &Servers,
    listener: TcpListener,
    config: DevConfig,
    began: Instant,
) -> anyhow::Result<()> {
    let url = format!("http://{}", listener.local_addr()?);
    let (database_url, amqp_url) = (servers.database_url(), servers.amqp_url()?);
    let store = process
        .lifecycle
        .or_signal(Box::pin(prepare(&database_url, &amqp_url)))
        .await?;
    let key = DevKey::mint(&store).await?;
    let env_file = EnvFile::write(
        &config.data_dir,
        &url,
        key.token(),
        &database_url,
        &amqp_url,
    )?;
    let client = client(&url, key.token())?;
    let token = process.lifecycle.token().clone();
    let resizing = Resizing {
        nodes: servers.amqp_nodes()?,
        ..Resizing::default()
    };
    let urls = (&*database_url, &*amqp_url);
    let policy = (resizing, SkipUndecidable::default());
    role::worker::start(&process, urls, None, policy)?;
    start_roles(&process, &database_url, &amqp_url, listener, config.sandbox)?;
    let readiness = process.lifecycle.readiness().clone();
    let opening = async {
        ready(&readiness).await?;
        demo::stock(&client, &token).await
    };
    let opened = process.lifecycle.or_signal(opening).await.and_then(|()| {
        let panel = Panel {
            url: &url,
            key: key.token(),
            env_file: env_file.path(),
            demo: config.demo,
        };
        Ok(panel.print(began.elapsed())?)
    });
    let ended = match opened {
        Ok(()) => {
            if config.demo {
                process
                    .lifecycle
                    .tracker()
                    .spawn(demo::traffic(client, token));
            }
            process.lifecycle.supervise(Duration::ZERO).await
        }
        Err(error) => process.lifecycle.stop().await.and(Err(error)),
    };
    key.revoke(&store).await;
    store.close().await;
    ended
}

/// Schema and topology.
async fn prepare(database_url: &str, amqp_url: &str) -> anyhow::Result<Store> {
    let store = database::open(database_url, "orderly dev").await?;
    migrate::apply(&store).await?;
    let broker = BrokerConfig::new(amqp_url, "orderly dev");
    let prefetch = limits::PREFETCH.into();
    topology::apply(&store, &broker, limits::SHARDS, prefetch, SETTLE).await?;
    Ok(store)
}

/// Every role but the worker in this process; ingress and dashboard on one listener.
fn start_roles(
    process: &Process,
    database_url: &str,
    amqp_url: &str,
    listener: TcpListener,
    sandbox: SandboxOptions,
) -> anyhow::Result<()> {
    role::relay::start(process, database_url, amqp_url)?;
    role::payments::start(process, database_url, amqp_url, sandbox)?;
    let store = role::store(
        database_url,
        Role::Dashboard,
        SessionProfile::General,
        HTTP_CONNECTIONS,
    )?;
    let keyring = process.keyring(&store);
    let served = CancellationToken::new();
    let dashboard = role::dashboard::Options {
        amqp_url,
        key_environment: key::ENVIRONMENT,
        cookie_security: CookieSecurity::default(),
    };
    let routes = role::ingress::routes(process, &store, &keyring, amqp_url, &served)
        .merge(role::dashboard::routes(
            process, &store, &keyring, &dashboard, &served,
        ))
        .merge(process.probes());
    process.serve("http", listener, routes, served);
    Ok(())
}

fn client(url: &str, key: &str) -> anyhow::Result<Client> {
    let base: url::Url = url.parse().context("the listener's own URL")?;
    Ok(Client::new(
        Urls {
            ingress: base.clone(),
            dashboard: base,
        },
        key.to_owned(),
    )?)
}

async fn ready(readiness: &Readiness) -> anyhow::Result<()> {
    let until_ready = async {
        while !readiness.is_ready() {
            tokio::time::sleep(READY_POLL).await;
        }
    };
    let limited = tokio::time::timeout(READY_LIMIT, until_ready).await;
    limited.map_err(|_| {
        anyhow!(
            "not ready within {} s: {:?}",
            READY_LIMIT.as_secs(),
            readiness.not_ready()
        )
    })
}
