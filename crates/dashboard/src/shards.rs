//! `/v1/shards`: who owns each shard, who stands by, and how much waits in its queue; another number of them; pauses.

pub(crate) mod abort;
mod depth;
pub(crate) mod list;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod resize;
pub(crate) mod resume;

use orderly_http::ProblemResponse;
use orderly_protocol::{Problem, ProblemCode, ShardId};
use orderly_store::{Actor, Store};

pub use depth::Depths;

use crate::failure::database;
use crate::operator::reason_fault;
use crate::request::invalid;

/// The actor, with what he says why: whoever asks in a month wants to know.
pub(crate) fn because(actor: Actor, reason: String) -> Result<Actor, ProblemResponse> {
    match reason_fault(&reason) {
        Some(fault) => Err(invalid(fault)),
        None => Ok(actor.because(Some(reason))),
    }
}

/// The shard of a path: `g1.003`, or `3` of the generation that takes commands.
async fn shard_named(store: &Store, name: &str) -> Result<ShardId, ProblemResponse> {
    let rows = store.shards().await.map_err(database)?;
    let newest = rows.iter().map(|row| row.shard.generation).max();
    let number: Option<i32> = name.parse().ok();
    let is_named = |shard: &ShardId| {
        let is_numbered = Some(shard.generation) == newest && Some(shard.shard) == number;
        is_numbered || shard.routing_key() == name
    };
    let mut shards = rows.iter().map(|row| row.shard);
    shards.find(is_named).ok_or_else(|| {
        Problem::new(
            ProblemCode::NotFound,
            "there is no such shard; `GET /v1/shards` lists them",
        )
        .into()
    })
}
