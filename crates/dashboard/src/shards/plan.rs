//! `POST /v1/shards/plan` `{"count"}`: what a resize would do, and what stands in its way. Changes nothing.

use axum::Json;
use axum::extract::State;
use orderly_http::{Authorized, JsonBody, ProblemResponse, scope};
use orderly_protocol::serde_json;
use orderly_protocol::{Problem, ShardId};
use orderly_store::{ResizeRefusal, Store};
use serde::{Deserialize, Serialize};

use super::Depths;
use super::resize::{checked_count, refused};
use crate::failure::database;
use crate::request::invalid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    count: i32,
}

/// What would happen.
#[derive(Serialize)]
pub(crate) struct Plan {
    from: i32,
    to: i32,
    from_generation: i32,
    /// Messages that wait in the old queues now: they are applied before anything of the new ones. Null while the broker does not
    /// answer.
    waiting: Option<u64>,
    /// Percent of all orders whose shard has another number afterwards. Each order has a new queue in any case.
    renumbered_percent: f64,
    /// Percent of all orders that each shard holds afterwards.
    share_percent: f64,
    /// Workers that are alive: more than there are shards would have nothing to do.
    workers: usize,
    /// Why it would be refused now.
    refused: Option<Problem>,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    State(depths): State<Depths>,
    _: Authorized<scope::OpsRead>,
    JsonBody(body): JsonBody,
) -> Result<Json<Plan>, ProblemResponse> {
    let request: Request =
        serde_json::from_value(body).map_err(|error| invalid(error.to_string()))?;
    let to = checked_count(request.count)?;
    let layout = store.current_layout().await.map_err(database)?;
    let layout = layout.ok_or_else(|| refused(&ResizeRefusal::NoGeneration))?;
    let from = layout.shard_count;
    let refusal = if let Some(open) = store.open_resize().await.map_err(database)? {
        Some(ResizeRefusal::UnderWay(Box::new(open)))
    } else if from == to {
        Some(ResizeRefusal::SameCount)
    } else if store.pauses().await.map_err(database)?.is_empty() {
        None
    } else {
        Some(ResizeRefusal::Paused)
    };
    let shards: Vec<_> = (0..from)
        .map(|shard| ShardId {
            generation: layout.generation,
            shard,
        })
        .collect();
    let found = depths.of(shards.clone()).await;
    let waiting = shards.iter().map(|shard| found.get(shard).copied());
    let waiting: Option<Vec<u32>> = waiting.collect();
    let workers = store.workers().await.map_err(database)?;
    Ok(Json(Plan {
        from,
        to,
        from_generation: layout.generation,
        waiting: waiting.map(|depths| depths.into_iter().map(u64::from).sum()),
        renumbered_percent: renumbered_percent(from, to),
        share_percent: 100.0 / f64::from(to),
        workers: workers.iter().filter(|worker| worker.alive).count(),
        refused: refusal.as_ref().map(refused),
    }))
}

/// Of the hashes from 0 to the least common multiple, which all that follow repeat: those whose remainders differ.
fn renumbered_percent(from: i32, to: i32) -> f64 {
    let (from, to) = (from.unsigned_abs(), to.unsigned_abs());
    let period = from / gcd(from, to) * to;
    // Both counts have the same remainder only below the smaller of them, once a period.
    let same = from.min(to);
    100.0 * f64::from(period - same) / f64::from(period)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_renumbered_is_that_of_counting() {
        for (from, to) in [(1, 2), (4, 6), (16, 24), (24, 16), (5, 7), (3, 3)] {
            let hashes = from * to;
            let moved = (0..hashes).filter(|hash| hash % from != hash % to);
            let moved = u32::try_from(moved.count()).unwrap();
            let counted = 100.0 * f64::from(moved) / f64::from(hashes);
            let reckoned = renumbered_percent(from, to);
            assert!((counted - reckoned).abs() < 1e-9, "{from} {to}");
        }
    }
}
