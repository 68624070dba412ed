//! `orderly worker`: applies commands.

use std::num::NonZeroU16;
use std::time::Duration;

use orderly_store::SessionProfile;
use orderly_worker::{Resizing, SkipUndecidable, WorkerOptions};
use tokio::sync::watch;

use super::{Process, Role, RoleFlags, broker, instance, listen, store};
use crate::{
    config::{Settings, parse},
    doctor,
    exit::Exit,
    lifecycle::DRAIN_DELAY,
};

/// Run a worker: it applies commands to orders, one at a time, in order
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly worker --database-url postgres://… --amqp-url amqp://… --http-addr 0.0.0.0:8082
  orderly worker --max-shards 4")]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    flags: RoleFlags,
    /// Own no more than N shards [default: its fair share]
    #[arg(long, value_name = "N")]
    max_shards: Option<NonZeroU16>,
    /// Nodes of a RabbitMQ cluster: URLs, comma-separated; a resize asks each [env: ORDERLY_AMQP_NODES]
    #[arg(long, value_name = "URLS")]
    amqp_nodes: Option<String>,
    /// RabbitMQ's management API: refuse to start where a policy would lose commands [env: ORDERLY_MANAGEMENT_URL] [default: policies
    /// are not looked at]
    #[arg(long, value_name = "URL")]
    management_url: Option<String>,
    /// Seconds that the queues of a resize have before they take commands: a younger one is not crash-safe
    #[arg(long, value_name = "SECONDS", default_value_t = Resizing::default().settle.as_secs())]
    settle_seconds: u64,
    /// Types of commands that are discarded, instead of parking their order, when they cannot be decided, such as annotate
    /// [env: ORDERLY_SKIP_UNDECIDABLE] [default: none]
    #[arg(long, value_name = "TYPE,…")]
    skip_undecidable: Option<String>,
}

/// One transaction at a time per shard, for the 16 shards of a default layout, and some for attempts and the layout. More
/// shards share them: on the database's cores they would wait anyway.
const MAX_CONNECTIONS: u32 = 20;

pub(crate) async fn run(args: WorkerArgs) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_role();
    let config = args.flags.look_up(&mut settings, Role::Worker);
    let resizing = resizing(&args, &mut settings);
    let skip = settings.or_default(
        args.skip_undecidable.as_ref(),
        "ORDERLY_SKIP_UNDECIDABLE",
        SkipUndecidable::default(),
        parse::skip_undecidable,
    );
    let management = settings.optional(
        args.management_url.as_ref(),
        "ORDERLY_MANAGEMENT_URL",
        parse::management_url,
    );
    let policy = resizing.zip(skip);
    let (config, policy) = settings.finish(|| config.zip(policy))?;
    let process = Process::start(config.logging)?;
    if let Some(management) = management {
        doctor::refuse_policies(&config.amqp_url, management).await?;
    }
    let listener = listen(config.http_addr).await?;
    let urls = (&*config.database_url, &*config.amqp_url);
    start(&process, urls, args.max_shards, policy)?;
    process.serve_probes(listener);
    process.lifecycle.supervise(DRAIN_DELAY).await?;
    Ok(Exit::Ok)
}

fn resizing(args: &WorkerArgs, settings: &mut Settings) -> Option<Resizing> {
    let nodes = settings.or_default(
        args.amqp_nodes.as_ref(),
        "ORDERLY_AMQP_NODES",
        Vec::new(),
        parse::amqp_urls,
    );
    Some(Resizing {
        nodes: nodes?,
        settle: Duration::from_secs(args.settle_seconds),
    })
}

/// Starts the role in this process.
pub(crate) fn start(
    process: &Process,
    (database_url, amqp_url): (&str, &str),
    max_shards: Option<NonZeroU16>,
    (resizing, skip_undecidable): (Resizing, SkipUndecidable),
) -> anyhow::Result<()> {
    let lifecycle = &process.lifecycle;
    let store = store(
        database_url,
        Role::Worker,
        SessionProfile::Worker,
        MAX_CONNECTIONS,
    )?;
    let layout = store.watch_generation(lifecycle.tracker(), lifecycle.token());
    let (ready, mut connected) = watch::channel(false);
    let options = WorkerOptions {
        store,
        layout,
        broker: broker(amqp_url, Role::Worker),
        owner: instance(Role::Worker),
        max_shards,
        resizing,
        skip_undecidable,
        version: env!("CARGO_PKG_VERSION"),
        ready,
    };
    let check = lifecycle.readiness().check("worker");
    lifecycle.tracker().spawn(async move {
        while connected.changed().await.is_ok() {
            check.set(*connected.borrow_and_update(), "broker or database away");
        }
    });
    let token = lifecycle.token().clone();
    lifecycle.run("worker", async move {
        orderly_worker::run(options, token).await?;
        Ok(())
    });
    Ok(())
}
