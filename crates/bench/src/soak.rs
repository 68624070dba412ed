//! A long load at a steady part of the top rate: does memory stay flat, and latency steady?
//!
//! The top rate is that of a closed load just before, on the same deployment.

mod chart;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use orderly_domain::CommandId;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::args::SoakArgs;
use crate::clock::nanos;
use crate::deployment::{Alone, Deployment, ROLES};
use crate::judge::ensure_right;
use crate::latency::Latency;
use crate::load::{self, Answer, Kind, Load, Pace, Sent, Window};
use crate::procfs;
use crate::quiet::Observer;
use crate::sample::Sample;
use crate::scenario::read;

/// As many as ten uniform loads have, so that none grows long.
const ORDERS: usize = 10_000;
const CONNECTIONS: usize = 64;
/// The closed load that finds the top rate, and what goes before it.
const TOP: Duration = Duration::from_secs(15);
const WARM: Duration = Duration::from_secs(3);
/// One sample: long enough for a p99 of thousands of commands.
const EVERY: Duration = Duration::from_secs(10);
/// Keys of the load that finds the top rate never meet those of the long one.
const KEYS: u64 = 1 << 48;

/// Ten seconds of the load.
#[derive(Clone, Debug, Serialize)]
struct Slice {
    seconds: u64,
    applied_per_s: f64,
    applied: Option<Latency>,
    /// MiB in memory, by process.
    memory_mib: BTreeMap<String, f64>,
}

/// Runs it and gives charts and figures as text. Fails if the history is wrong.
pub(crate) async fn run(args: SoakArgs) -> Result<String> {
    let alone = Alone::start("soak", &ROLES, args.orderly.as_deref()).await?;
    let mut observer = Observer::default();
    let before = observer.before().await?;
    let top = top_rate(&alone).await?;
    let rate = part(top, args.percent);
    eprintln!("top rate {top:.0}/s; {rate}/s for {} min …", args.minutes);
    let slices = soak(&args, &alone, rate).await?;
    let noise = observer.after(before)?;
    if let Some(file) = &args.json {
        let written = std::fs::write(file, serde_json::to_vec(&slices)?);
        written.with_context(|| format!("write {}", file.display()))?;
    }
    alone.stop().await?;
    Ok(format!(
        "{}\n{} min at {rate}/s, {} % of the {top:.0}/s of a closed load of {CONNECTIONS} connections on {ORDERS} orders; \
         lost 0, doubled 0, reordered 0. Quiet machine: {}.",
        chart::draw(&slices),
        args.minutes,
        args.percent,
        if noise.quiet { "yes" } else { "no" },
    ))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is positive and far below 2^32"
)]
fn part(top: f64, percent: u32) -> u32 {
    ((top * f64::from(percent) / 100.0) as u32).max(1)
}

fn load(deployment: &Deployment, orders: Arc<[Uuid]>, pace: Pace) -> Result<Load> {
    Ok(Load {
        address: deployment.ingress()?,
        caller: deployment.caller.clone(),
        kind: Kind::Annotate,
        orders,
        connections: CONNECTIONS,
        pace,
        warm_up: WARM,
        measured: TOP,
        first_key: KEYS,
    })
}

async fn top_rate(alone: &Alone) -> Result<f64> {
    let Alone {
        clock, deployment, ..
    } = alone;
    let orders = deployment.place(ORDERS).await?;
    let load = load(deployment, orders, Pace::Closed)?;
    let window = load.window(*clock);
    deployment.watcher.take();
    let sent = load::run(load, *clock, window.clone()).await?;
    deployment.watcher.reached(&sent).await?;
    let seen = deployment.watcher.take();
    let sample = Sample::of_load(&sent, &window, Some(&seen));
    sample.applied_per_s.context("nothing was applied")
}

async fn soak(args: &SoakArgs, alone: &Alone, rate: u32) -> Result<Vec<Slice>> {
    let Alone {
        clock, deployment, ..
    } = alone;
    let orders = deployment.place(ORDERS).await?;
    let load = Load {
        measured: Duration::from_secs(u64::from(args.minutes) * 60),
        first_key: 2 * KEYS,
        ..load(deployment, orders, Pace::Open(rate))?
    };
    let window = load.window(*clock);
    let ending = CancellationToken::new();
    let running = async {
        let sent = load::run(load.clone(), *clock, window.clone()).await;
        ending.cancel();
        sent
    };
    let (sent, looked) = tokio::join!(running, look(alone, &window, &ending));
    let (sent, (memory, mut seen)) = (sent?, looked?);
    let missing: Vec<Sent> = sent
        .iter()
        .filter(|sent| !seen.contains_key(&sent.command_id))
        .copied()
        .collect();
    if !deployment.watcher.reached(&missing).await? {
        bail!("the stream of events fell silent before every command came");
    }
    seen.extend(deployment.watcher.take());
    let slices = slices(&sent, &seen, &window, &memory);
    let database = &deployment.program.database_url;
    let history = read(database, &load.orders, 1, sent, Some(seen)).await?;
    ensure_right(&history)?;
    Ok(slices)
}

type Memory = Vec<BTreeMap<String, f64>>;

/// Looks at the memory at the end of each slice, and takes what was seen by then: one map of everything would stop for as long as
/// it takes to grow, and so be seen in the latencies.
async fn look(
    alone: &Alone,
    window: &Window,
    ending: &CancellationToken,
) -> Result<(Memory, HashMap<CommandId, u64>)> {
    let Alone {
        clock,
        servers,
        deployment,
    } = alone;
    let mut groups = deployment.groups();
    groups.extend(
        servers
            .groups()
            .into_iter()
            .filter(|it| it.name == "rabbitmq"),
    );
    let (mut memory, mut taken) = (Vec::new(), Vec::new());
    let mut next = window.measured.start + nanos(EVERY);
    loop {
        let due = tokio::time::sleep_until(clock.instant(next).into());
        if ending.run_until_cancelled(due).await.is_none() {
            return Ok((memory, taken.into_iter().flatten().collect()));
        }
        let of_group = |group: &procfs::Group| {
            procfs::memory_mib(group.root).map(|mib| (group.name.clone(), mib))
        };
        memory.push(groups.iter().map(of_group).collect::<Result<_>>()?);
        taken.push(deployment.watcher.take());
        next += nanos(EVERY);
    }
}

fn slices(
    sent: &[Sent],
    seen: &HashMap<CommandId, u64>,
    window: &Window,
    memory: &[BTreeMap<String, f64>],
) -> Vec<Slice> {
    let every = nanos(EVERY);
    let mut latencies = vec![Vec::new(); memory.len()];
    for sent in sent.iter().filter(|sent| sent.answer == Answer::Accepted) {
        let Some(since) = sent.due.checked_sub(window.measured.start) else {
            continue;
        };
        let slice = usize::try_from(since / every)
            .ok()
            .and_then(|place| latencies.get_mut(place));
        if let (Some(slice), Some(at)) = (slice, seen.get(&sent.command_id)) {
            slice.push(at.saturating_sub(sent.due));
        }
    }
    let slice = |((place, latencies), memory): ((u64, Vec<u64>), &BTreeMap<String, f64>)| Slice {
        seconds: (place + 1) * EVERY.as_secs(),
        applied_per_s: as_figure(latencies.len()) / EVERY.as_secs_f64(),
        applied: Latency::of(latencies),
        memory_mib: memory.clone(),
    };
    (0..).zip(latencies).zip(memory).map(slice).collect()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "for people to read; a count of commands is far below 2^52"
)]
fn as_figure(count: usize) -> f64 {
    count as f64
}
