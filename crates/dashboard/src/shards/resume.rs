//! `POST /v1/shards/{n}/resume` and `POST /v1/resume`: ends a pause. What waited is applied, in its order. Where nothing is paused it
//! changes nothing.

use axum::Json;
use axum::extract::{Path, State};
use orderly_http::{ProblemResponse, scope};
use orderly_protocol::ShardId;
use orderly_store::{Actor, Store};
use serde::Serialize;

use super::shard_named;
use crate::failure::database;
use crate::operator::Operator;

/// What it changed.
#[derive(Serialize)]
pub(crate) struct Resumed {
    /// The shard, as `g1.003`; null: all of them.
    shard: Option<String>,
    was_paused: bool,
}

/// One shard. One that is paused with all others stays so.
pub(crate) async fn one(
    State(store): State<Store>,
    operator: Operator<scope::OpsWrite>,
    Path(name): Path<String>,
) -> Result<Json<Resumed>, ProblemResponse> {
    let shard = shard_named(&store, &name).await?;
    resume(&store, &operator.actor, Some(shard)).await
}

/// The pause of all. A shard that is paused by itself stays so.
pub(crate) async fn all(
    State(store): State<Store>,
    operator: Operator<scope::OpsWrite>,
) -> Result<Json<Resumed>, ProblemResponse> {
    resume(&store, &operator.actor, None).await
}

async fn resume(
    store: &Store,
    actor: &Actor,
    shard: Option<ShardId>,
) -> Result<Json<Resumed>, ProblemResponse> {
    let was_paused = store.resume(shard, actor).await.map_err(database)?;
    tracing::info!(?shard, by = actor.label(), was_paused, "resumed");
    Ok(Json(Resumed {
        shard: shard.map(|shard| shard.to_string()),
        was_paused,
    }))
}
