//! Commands for orders by HTTP: to Orderly, or to the direct way.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use orderly_domain::CommandId;
use uuid::Uuid;

use super::{Server, Target, UNIFORM_ORDERS};
use crate::bench::Bench;
use crate::contestant::direct::Direct;
use crate::deployment::Deployment;
use crate::judge::{self, History};
use crate::load::{self, Caller, Kind, Load, Pace, Sent, Window};
use crate::procfs::{self, CpuSeconds, Group};
use crate::sample::{Sample, seconds};
use crate::{db, history};

/// A load of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Posts {
    pub(super) server: Server,
    pub(super) target: Target,
    pub(super) connections: usize,
    pub(super) pace: Pace,
    pub(super) wait: bool,
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
    /// Commands of one request, by the batch endpoint.
    pub(super) batch: Option<usize>,
}

/// Runs it on orders of its own.
pub(super) async fn run(bench: &Bench, posts: &Posts) -> Result<Sample> {
    let count = match posts.target {
        Target::Hot => 1,
        Target::Uniform => UNIFORM_ORDERS,
    };
    match posts.server {
        Server::Direct => {
            let direct = bench.direct()?;
            let client = db::connect(&direct.database_url).await?;
            let orders = crate::seed::placed_orders(&client, count).await?;
            let load = load_of(bench, posts, direct.address, Direct::caller(), orders);
            let groups = bench.groups(direct.group());
            let nothing = async || Ok(());
            let (sent, window, used, _) = measure(bench, &load, &groups, nothing).await?;
            let history = read(&direct.database_url, &load.orders, 1, sent, None).await?;
            Ok(figures(&history, &window, &used))
        }
        Server::Orderly => {
            let deployment = bench.orderly()?;
            let orders = deployment.place(count).await?;
            on_deployment(bench, deployment, posts, orders, 1).await
        }
        Server::Big => {
            let (deployment, orders) = bench.big()?;
            // Every run begins where the one before ended.
            let client = db::connect(&deployment.program.database_url).await?;
            let orders = super::big::untouched(&client, orders).await?;
            on_deployment(bench, deployment, posts, orders, super::big::VERSION).await
        }
    }
}

/// Runs it on a deployment whose `orders` are all at version `base`.
pub(super) async fn on_deployment(
    bench: &Bench,
    deployment: &Deployment,
    posts: &Posts,
    orders: Arc<[Uuid]>,
    base: i64,
) -> Result<Sample> {
    let caller = Caller {
        wait: posts.wait,
        ..deployment.caller.clone()
    };
    let load = load_of(bench, posts, deployment.ingress()?, caller, orders);
    let groups = bench.groups(deployment.groups());
    deployment.watcher.take();
    let counted = async || counters(deployment).await;
    let (sent, window, used, (before, after)) = measure(bench, &load, &groups, counted).await?;
    let ended = bench.clock.now();
    let drained = deployment.watcher.reached(&sent).await?;
    let drain = bench.clock.now() - ended;
    let visible = deployment.watcher.take();
    let url = &deployment.program.database_url;
    let history = read(url, &load.orders, base, sent, Some(visible)).await?;
    let mut sample = figures(&history, &window, &used);
    sample.drain_ms = Some(seconds(drain) * 1e3);
    let grew = |name: &str| after.get(name).zip(before.get(name)).map(|(a, b)| a - b);
    let mean = |sum: &str, count: &str| Some(grew(sum)? / grew(count).filter(|n| *n > 0.0)?);
    sample.commands_per_batch = mean("worker batch_size_sum", "worker batch_size_count");
    sample.commands_per_message = mean("ingress accepted", "ingress messages");
    if !drained && sample.faults.is_empty() {
        sample = sample
            .with_fault("the stream of events fell silent before every command came".to_owned());
    }
    Ok(sample)
}

/// What the roles count.
async fn counters(deployment: &Deployment) -> Result<HashMap<&'static str, f64>> {
    let mut found = HashMap::new();
    let wanted = [
        ("worker", "orderly_batch_size_sum", "worker batch_size_sum"),
        (
            "worker",
            "orderly_batch_size_count",
            "worker batch_size_count",
        ),
        (
            "ingress",
            "orderly_commands_accepted_total",
            "ingress accepted",
        ),
        (
            "ingress",
            "orderly_publish_confirms_total",
            "ingress messages",
        ),
    ];
    for role in ["worker", "ingress"] {
        let Some(running) = deployment.role(role) else {
            continue;
        };
        let metrics = running.metrics().await?;
        for (_, metric, name) in wanted.iter().filter(|(of, ..)| *of == role) {
            found.insert(*name, metrics.get(*metric).copied().unwrap_or(0.0));
        }
    }
    Ok(found)
}

fn load_of(
    bench: &Bench,
    posts: &Posts,
    address: SocketAddr,
    caller: Caller,
    orders: Arc<[Uuid]>,
) -> Load {
    Load {
        address,
        caller,
        kind: posts.batch.map_or(Kind::Annotate, Kind::Batch),
        orders,
        connections: posts.connections,
        pace: posts.pace,
        warm_up: posts.warm_up,
        measured: posts.measured,
        first_key: bench.next_keys(),
    }
}

/// Runs a load and notes what CPU the measured part took; `count` is asked at its begin and end.
async fn measure<T>(
    bench: &Bench,
    load: &Load,
    groups: &[Group],
    count: impl AsyncFn() -> Result<T>,
) -> Result<(Vec<Sent>, Window, CpuSeconds, (T, T))> {
    let window = load.window(bench.clock);
    let at = |nanos| tokio::time::sleep_until(bench.clock.instant(nanos).into());
    let observing = async {
        at(window.measured.start).await;
        let (before, first) = (procfs::cpu_seconds(groups)?, count().await?);
        at(window.measured.end).await;
        let (after, last) = (procfs::cpu_seconds(groups)?, count().await?);
        anyhow::Ok((procfs::used(&before, &after), (first, last)))
    };
    let (sent, observed) = tokio::join!(
        load::run(load.clone(), bench.clock, window.clone()),
        observing
    );
    let (used, counted) = observed?;
    Ok((sent?, window, used, counted))
}

/// All that the judge needs.
pub(crate) async fn read(
    database_url: &str,
    orders: &[Uuid],
    base: i64,
    sent: Vec<Sent>,
    visible: Option<HashMap<CommandId, u64>>,
) -> Result<History> {
    let client = db::connect(database_url).await?;
    Ok(History {
        orders: history::versions(&client, orders).await?,
        base,
        sent,
        outcomes: history::outcomes(&client, orders).await?,
        events: history::events(&client, orders).await?,
        visible,
    })
}

fn figures(history: &History, window: &Window, used: &CpuSeconds) -> Sample {
    let length = Duration::from_nanos(window.measured.end - window.measured.start);
    Sample::of_load(&history.sent, window, history.visible.as_ref())
        .with_cpu(used, length.as_secs_f64())
        .judged(&judge::judge(history))
}
