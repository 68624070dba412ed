//! The race: one load against naive writes, against naive writes with row locks, and through Orderly; then the data is asked
//! who was told the truth.
//!
//! Owns the order of things, and that its own schema is gone at the end, however it comes. What it places in Orderly stays
//! there, as everything does.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

mod evidence;
mod judge;
mod load;
mod naive;
mod plan;
mod report;
mod scratch;
mod through;

pub use judge::{Counts, Example};
pub use report::{Report, WayReport};

use crate::http::Api;
use evidence::Evidence;
use load::{Load, Pace};
use naive::{Locking, Naive};
use plan::Plan;
use scratch::Scratch;
use through::Through;

/// Where the race takes place.
#[derive(Clone)]
pub struct Target {
    /// Takes commands.
    pub ingress_url: String,
    /// Takes stock and questions; may be the same.
    pub dashboard_url: String,
    /// May write commands and stock, and read orders.
    pub api_key: String,
    /// Where the naive tables go, into a schema of their own: the database that Orderly uses, so that both have the same disk.
    pub database_url: String,
}

/// How it is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For all three ways and what stands between them.
    pub duration: Duration,
    /// Clients at once.
    pub clients: usize,
    /// Fixes what they want, in which order, and what is sent twice.
    pub seed: u64,
}

/// Of ten parts of the time each way gets three; the last one is for reading what is in the data.
const PARTS: (u32, u32) = (3, 10);

/// Of so many parts of the time one goes into the preparation of Orderly's orders.
const PREPARATION: u32 = 20;

/// More than any way does per second on a machine that is not a cluster: the time ends a way, not the plan.
const INTENTS_PER_SECOND: f64 = 6_000.0;

/// Runs the race; `say` tells a person how far it is. When `token` is cancelled it ends early, with an error, and cleans up.
///
/// # Errors
/// When the database or Orderly is away, or the token was cancelled. What the race finds is no error.
pub async fn run(
    target: &Target,
    options: &Options,
    token: &CancellationToken,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Report> {
    let scratch = Scratch::create(&target.database_url, naive::TABLES).await?;
    let raced = contest(target, options, &scratch, token, say).await;
    // Everything that uses the schema has been dropped by now.
    let dropped = scratch.drop_schema().await;
    if raced.is_err() && dropped.is_err() {
        say(&format!("the schema {} is left behind", scratch.name()));
    }
    let report = raced?;
    dropped?;
    Ok(report)
}

async fn contest(
    target: &Target,
    options: &Options,
    scratch: &Scratch,
    token: &CancellationToken,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Report> {
    let limit = options.duration * PARTS.0 / PARTS.1;
    let plan = Arc::new(Plan::new(options.seed, intents(limit)));
    let pace = Pace {
        clients: options.clients,
        limit,
    };
    let seconds = limit.as_secs_f64();
    // First, since it also tells whether Orderly is there and the key is good.
    say("placing the orders in Orderly …");
    let api = Api::new(
        &target.ingress_url,
        &target.dashboard_url,
        &target.api_key,
        token,
    )?;
    let preparing = Through::open(api, &plan, options.duration / PREPARATION);
    let through = Arc::new(preparing.await.context("prepare the orders in Orderly")?);
    say(&format!("1/3 naive writes, {seconds:.1} s …"));
    let naive = direct(scratch, Locking::None, &plan, pace, token).await?;
    say(&format!("2/3 the same with row locks, {seconds:.1} s …"));
    let locked = direct(scratch, Locking::ForUpdate, &plan, pace, token).await?;
    say(&format!("3/3 Orderly, {seconds:.1} s …"));
    let prepared = Arc::new(plan.first(through.rounds()));
    let load = load::run(&through, &prepared, pace, token).await?;
    say("reading what is in the data …");
    let reading = through.evidence(&load);
    let evidence = reading.await.context("read what Orderly holds")?;
    let legs = [naive, locked, Leg { load, evidence }];
    Ok(Report::new(options, limit, legs))
}

/// What one way left: what the clients saw, and the evidence.
struct Leg {
    load: Load,
    evidence: Evidence,
}

async fn direct(
    scratch: &Scratch,
    locking: Locking,
    plan: &Arc<Plan>,
    pace: Pace,
    token: &CancellationToken,
) -> Result<Leg> {
    let naive = Arc::new(Naive::open(scratch, locking, plan).await?);
    let load = load::run(&naive, plan, pace, token).await?;
    let evidence = naive
        .evidence(&load)
        .await
        .context("read the scratch tables")?;
    Ok(Leg { load, evidence })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a duration of minutes gives a few million"
)]
fn intents(limit: Duration) -> usize {
    (limit.as_secs_f64() * INTENTS_PER_SECOND) as usize
}
