//! `orderly topology`: the queues, exchanges and stream on the broker, and the first generation of shards.

use std::time::Duration;

use anyhow::{Context, bail};
use orderly_broker::{BrokerConfig, Connection, topology};
use orderly_protocol::{ShardId, limits, names};
use orderly_store::{Layout, Store};
use serde::Serialize;

use crate::{
    config::{Settings, parse},
    database,
    exit::Exit,
    output::Format,
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
    /// Declare what is missing; on a new system also the first generation of shards
    Apply(ApplyArgs),
    /// Say whether everything is there
    Check,
    /// Show the current generation and its queues
    Show,
}

#[derive(Debug, clap::Args)]
struct ApplyArgs {
    /// Shards of the first generation
    #[arg(long, default_value_t = limits::SHARDS, value_parser = clap::value_parser!(i32).range(1..=999))]
    shards: i32,
    /// Messages that a consumer of the first generation may hold; constant for its whole life
    #[arg(long, default_value_t = limits::PREFETCH.into(), value_parser = clap::value_parser!(i32).range(1..=2_000))]
    prefetch: i32,
    /// Seconds between declaring the first queues and opening them to traffic
    #[arg(long, default_value_t = SETTLE.as_secs())]
    settle_seconds: u64,
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
    let connection = Connection::open(&broker)
        .await
        .context("connect to the broker")?;
    let result = match args.action {
        TopologyAction::Apply(args) => {
            let settle = Duration::from_secs(args.settle_seconds);
            apply(&store, &connection, args.shards, args.prefetch, settle)
                .await
                .map(|layout| {
                    eprintln!(
                        "generation {} with {} shards takes commands",
                        layout.generation, layout.shard_count
                    );
                    Exit::Ok
                })
        }
        TopologyAction::Check => check(&store, &connection).await,
        TopologyAction::Show => show(&store, &connection, format).await,
    };
    connection.close().await;
    result
}

/// Everything that traffic needs. The generation takes commands only after its queues have settled; where one takes them
/// already, its queues are checked and never declared again: a name is not reused.
pub(crate) async fn apply(
    store: &Store,
    connection: &Connection,
    shards: i32,
    prefetch: i32,
    settle: Duration,
) -> anyhow::Result<Layout> {
    topology::declare_shared(connection, topology::EventLog::default())
        .await
        .context("declare the exchanges")?;
    if let Some(layout) = store.current_layout().await.context("read the layout")? {
        topology::check(connection, layout.generation, layout.shard_count)
            .await
            .context("check the queues")?;
        return Ok(layout);
    }
    topology::declare_generation(
        connection,
        FIRST_GENERATION,
        shards,
        topology::DEFAULT_MAX_LENGTH,
    )
    .await
    .context("declare the queues")?;
    tokio::time::sleep(settle).await;
    store
        .create_first_generation(shards, prefetch)
        .await
        .context("open the first generation")
}

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
    format.rows(&rows, ["queue", "messages", "consumers"], |row| {
        [
            row.queue.clone(),
            figure(row.messages),
            figure(row.consumers),
        ]
    })?;
    Ok(if rows.iter().all(|row| row.messages.is_some()) {
        Exit::Ok
    } else {
        Exit::Failed
    })
}
