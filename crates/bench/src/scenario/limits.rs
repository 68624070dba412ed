//! What the parts can do by themselves: Postgres, and the broker.

use anyhow::Result;

use super::{Target, UNIFORM_ORDERS};
use crate::bench::{Bench, PG_LIMIT, PG_LIMIT_TEMPLATE};
use crate::contestant::pg_limit::{self, Plan};
use crate::load::Pace;
use crate::sample::Sample;
use crate::{db, procfs, seed};

/// Writers that are enough to keep two cores busy, and one order can have but one.
const CONNECTIONS: usize = 4;

/// The batched rows, on a database that holds nothing else.
pub(super) async fn postgres(bench: &Bench, target: Target) -> Result<Sample> {
    bench
        .servers
        .create_database(PG_LIMIT, Some(PG_LIMIT_TEMPLATE))
        .await?;
    let database_url = bench.servers.database_url(PG_LIMIT);
    let client = db::connect(&database_url).await?;
    pg_limit::prepare(&client).await?;
    let (orders, connections) = match target {
        Target::Hot => (1, 1),
        Target::Uniform => (UNIFORM_ORDERS, CONNECTIONS),
    };
    let plan = Plan {
        database_url,
        orders: seed::placed_orders(&client, orders).await?,
        connections,
        warm_up: bench.warm_up,
        measured: bench.measured,
    };
    let groups = bench.groups(None);
    let before = procfs::cpu_seconds(&groups)?;
    let written = pg_limit::run(&plan, bench.clock).await?;
    let used = procfs::used(&before, &procfs::cpu_seconds(&groups)?);
    let sample = Sample {
        applied_per_s: Some(written.per_second),
        ..Sample::default()
    };
    // Over all that was written, the warm-up too.
    let each =
        |(name, used): (&String, &f64)| (name.clone(), used / as_f64(written.commands) * 1e6);
    let sample = Sample {
        cpu_us: used.iter().map(each).collect(),
        ..sample
    };
    let checked = pg_limit::check(&client, written.commands, orders).await;
    drop(client);
    bench.servers.drop_database(PG_LIMIT).await?;
    Ok(match checked {
        Ok(()) => sample,
        Err(error) => sample.with_fault(error.to_string()),
    })
}

/// Bare confirmed publishes.
pub(super) async fn publish(bench: &Bench, pace: Pace) -> Result<Sample> {
    let publishers = bench.publishers()?;
    let confirmed = publishers
        .run(pace, bench.clock, bench.warm_up, bench.measured)
        .await?;
    Ok(Sample {
        accepted_per_s: Some(confirmed.per_second),
        accept: confirmed.latency,
        ..Sample::default()
    })
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
