//! `orderly topology`: the queues, exchanges and stream on the broker, and the first generation of shards.

mod retire;

use std::time::Duration;

use anyhow::{Context, bail};
use orderly_broker::{
    BrokerConfig, Connection,
    topology::{self, TopologyError},
};
use orderly_protocol::{ShardId, limits, names};
use orderly_store::{AuditEntry, Layout, Store};
use serde::Serialize;
use serde_json::json;

use crate::{
    client::Backoff,
    config::{Settings, parse},
    database,
    exit::Exit,
    operator::operator,
    output::{self, Format, Progress},
};

/// Set up or inspect what Orderly needs on the broker
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly topology apply
  orderly topology apply --shards 32
  orderly topology check && orderly topology show"
)]
pub(crate) struct TopologyArgs {
    #[command(subcommand)]
    action: TopologyAction,
    /// Database [env: ORDERLY_DATABASE_URL]
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
    /// RabbitMQ [env: ORDERLY_AMQP_URL]
    #[arg(long, value_name = "URL", global = true)]
    amqp_url: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum TopologyAction {
    Apply(ApplyArgs),
    Check(CheckArgs),
    Show(ShowArgs),
    Retire(RetireArgs),
}

/// Say whether everything is there, without changing anything
///
/// Exits with 1 if something is missing.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly topology check && orderly topology show")]
struct CheckArgs {}

/// Show the current generation of shards and its queues
///
/// Exits with 1 if a queue is missing.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly topology show
  orderly topology show -o json | jq 'map(.messages) | add'")]
struct ShowArgs {}

/// Declare what is missing; on a new system also the first generation of shards
///
/// Safe to run again: what exists is checked and left as it is.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly topology apply
  orderly topology apply --shards 32")]
struct ApplyArgs {
    /// Shards of the first generation
    #[arg(long, value_name = "N", default_value_t = limits::SHARDS, value_parser = clap::value_parser!(i32).range(1..=999))]
    shards: i32,
    /// Messages that a consumer of the first generation may hold; constant for its whole life
    #[arg(long, value_name = "N", default_value_t = limits::PREFETCH.into(), value_parser = clap::value_parser!(i32).range(1..=2_000))]
    prefetch: i32,
    /// Seconds between declaring the first queues and opening them to traffic
    #[arg(long, value_name = "SECONDS", default_value_t = SETTLE.as_secs())]
    settle_seconds: u64,
}

/// Delete the queues of generations that have ended, after a resize
///
/// Only those that nothing can come to any more and that hold nothing: whatever else is found goes on being forwarded. Exits with 3 if
/// some stay.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly topology retire")]
struct RetireArgs {
    /// Nodes of a RabbitMQ cluster: URLs, comma-separated; all must be up [env: ORDERLY_AMQP_NODES]
    #[arg(long, value_name = "URLS")]
    amqp_nodes: Option<String>,
}

/// A quorum queue that was just declared can be lost with its node (RabbitMQ's ra saves its names some time later):
/// nothing may be published before.
pub(crate) const SETTLE: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: TopologyArgs, format: Format) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_command();
    let database = settings.required(
        args.database_url.as_ref(),
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let amqp = settings.required(args.amqp_url.as_ref(), "ORDERLY_AMQP_URL", parse::amqp_url);
    let (database, amqp) = settings.finish(|| Some((database?, amqp?)))?;
    let store = database::open(&database, "orderly topology").await?;
    let broker = BrokerConfig::new(amqp, "orderly topology");
    match args.action {
        TopologyAction::Apply(args) => {
            let settle = Duration::from_secs(args.settle_seconds);
            let progress =
                Progress::standing(format!("new queues settle for {} s", settle.as_secs()));
            let layout = apply(&store, &broker, args.shards, args.prefetch, settle).await?;
            drop(progress);
            eprintln!(
                "generation {} with {} shards takes commands",
                layout.generation, layout.shard_count
            );
            Ok(Exit::Ok)
        }
        TopologyAction::Retire(args) => {
            let mut settings = Settings::for_command();
            let nodes = settings.or_default(
                args.amqp_nodes.as_ref(),
                "ORDERLY_AMQP_NODES",
                Vec::new(),
                parse::amqp_urls,
            );
            let nodes = settings.finish(|| nodes)?;
            retire::retire(&store, &broker, &nodes).await
        }
        TopologyAction::Check(CheckArgs {}) => check(&store, &connect(&broker).await?).await,
        TopologyAction::Show(ShowArgs {}) => show(&store, &connect(&broker).await?, format).await,
    }
}

/// Everything that traffic needs. The generation takes commands only after its queues have settled; where one takes them
/// already, its queues are checked and never declared again: a name is not reused.
pub(crate) async fn apply(
    store: &Store,
    broker: &BrokerConfig,
    shards: i32,
    prefetch: i32,
    settle: Duration,
) -> anyhow::Result<Layout> {
    if let Some(layout) = declare_patiently(store, broker, shards).await? {
        return Ok(layout);
    }
    tokio::time::sleep(settle).await;
    let layout = store
        .create_first_generation(shards, prefetch)
        .await
        .context("open the first generation")?;
    let target = format!("generation/{}", layout.generation);
    let entry = AuditEntry::new(&operator(), "topology.apply", target);
    let opened = json!({ "shard_count": layout.shard_count, "prefetch": layout.prefetch });
    store
        .audit(&entry.after(opened))
        .await
        .context("tell the audit")?;
    Ok(layout)
}

/// A broker that has just started answers before its streams and queues have found their nodes again ("home node is down
/// or inaccessible"): what exists is there a moment later. Every attempt is safe to repeat.
async fn declare_patiently(
    store: &Store,
    broker: &BrokerConfig,
    shards: i32,
) -> anyhow::Result<Option<Layout>> {
    let mut backoff = Backoff::new(DECLARE_PATIENCE);
    loop {
        let declared = Box::pin(declare(store, broker, shards)).await;
        let Err(error) = declared else {
            return declared;
        };
        let passing = error
            .downcast_ref::<TopologyError>()
            .is_some_and(|error| !matches!(error, TopologyError::Different { .. }));
        let pause = passing.then(|| backoff.next(None)).flatten();
        let Some(pause) = pause else {
            return Err(error);
        };
        tracing::debug!(error = format!("{error:#}"), "not declared yet");
        tokio::time::sleep(pause).await;
    }
}

/// One attempt, on a connection of its own: a refusal may take the connection with it. Gives the generation that takes
/// commands already.
async fn declare(
    store: &Store,
    broker: &BrokerConfig,
    shards: i32,
) -> anyhow::Result<Option<Layout>> {
    let layout = store.current_layout().await.context("read the layout")?;
    let connection = connect(broker).await?;
    let shared = topology::declare_shared(&connection, topology::EventLog::default()).await;
    let declared = match (shared, layout) {
        (Err(error), _) => Err(error),
        (Ok(()), Some(layout)) => {
            topology::check(&connection, layout.generation, layout.shard_count).await
        }
        (Ok(()), None) => {
            let most = topology::DEFAULT_MAX_LENGTH;
            topology::declare_generation(&connection, FIRST_GENERATION, shards, most).await
        }
    };
    connection.close().await;
    declared.context("set the broker up")?;
    Ok(layout)
}

async fn connect(broker: &BrokerConfig) -> anyhow::Result<Connection> {
    Connection::open(broker)
        .await
        .context("connect to the broker")
}

/// Longer than a restarted broker was ever seen to take for its queues, shorter than anybody's patience with a wrong URL.
const DECLARE_PATIENCE: Duration = Duration::from_secs(20);
const FIRST_GENERATION: i32 = 1;

async fn check(store: &Store, connection: &Connection) -> anyhow::Result<Exit> {
    let layout = current(store).await?;
    topology::check(connection, layout.generation, layout.shard_count)
        .await
        .context("check the topology")?;
    eprintln!(
        "generation {} with {} shards: everything is there",
        layout.generation, layout.shard_count
    );
    Ok(Exit::Ok)
}

async fn current(store: &Store) -> anyhow::Result<Layout> {
    match store.current_layout().await.context("read the layout")? {
        Some(layout) => Ok(layout),
        None => bail!("no generation takes commands; run `orderly topology apply`"),
    }
}

#[derive(Serialize)]
struct QueueRow {
    queue: String,
    messages: Option<u32>,
    consumers: Option<u32>,
}

async fn show(store: &Store, connection: &Connection, format: Format) -> anyhow::Result<Exit> {
    let layout = current(store).await?;
    eprintln!(
        "generation {}: {} shards, prefetch {}",
        layout.generation, layout.shard_count, layout.prefetch
    );
    let shards = (0..layout.shard_count).map(|shard| {
        ShardId {
            generation: layout.generation,
            shard,
        }
        .queue()
    });
    let shared = [names::EVENTS_STREAM, names::PAYMENTS_QUEUE].map(str::to_owned);
    let mut rows = Vec::new();
    for queue in shared.into_iter().chain(shards) {
        let status = topology::queue_status(connection, &queue)
            .await
            .context("ask for a queue")?;
        rows.push(QueueRow {
            queue,
            messages: status.map(|status| status.messages),
            consumers: status.map(|status| status.consumers),
        });
    }
    let figure = |figure: Option<u32>| {
        figure.map_or_else(|| "missing".to_owned(), |figure| figure.to_string())
    };
    let printed = format.rows(&rows, ["queue", "messages", "consumers"], |row| {
        [
            row.queue.clone(),
            figure(row.messages),
            figure(row.consumers),
        ]
    });
    output::unless_closed(printed)?;
    Ok(if rows.iter().all(|row| row.messages.is_some()) {
        Exit::Ok
    } else {
        Exit::Failed
    })
}
