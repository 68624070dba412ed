//! `POST /v1/shards/{n}/pause` and `POST /v1/pause` `{"reason", "expires_in_seconds"?}`: nobody consumes the shard, or any, until it is
//! resumed or the time is over. Commands are accepted and wait in their queues. Again is allowed, and counts.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use orderly_http::{JsonBody, ProblemResponse, scope};
use orderly_protocol::serde_json::{self, Value};
use orderly_protocol::{Problem, ProblemCode, ShardId, timestamp};
use orderly_store::{Actor, ShardPause, Store};
use serde::{Deserialize, Serialize};

use super::{because, shard_named};
use crate::failure::database;
use crate::operator::Operator;
use crate::request::invalid;

/// Whoever pauses for longer does not know when it ends, and had better say so.
const LONGEST_SECONDS: u64 = 7 * 24 * 3_600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    reason: String,
    expires_in_seconds: Option<u64>,
}

/// A pause as it is told.
#[derive(Serialize)]
pub(crate) struct PauseResource {
    /// The shard, as `g1.003`; null: all of them.
    shard: Option<String>,
    paused_by: String,
    reason: String,
    paused_at: String,
    expires_at: Option<String>,
}

/// One shard.
pub(crate) async fn one(
    State(store): State<Store>,
    operator: Operator<scope::OpsWrite>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<PauseResource>, ProblemResponse> {
    let shard = shard_named(&store, &name).await?;
    pause(&store, operator.actor, Some(shard), body).await
}

/// All.
pub(crate) async fn all(
    State(store): State<Store>,
    operator: Operator<scope::OpsWrite>,
    JsonBody(body): JsonBody,
) -> Result<Json<PauseResource>, ProblemResponse> {
    pause(&store, operator.actor, None, body).await
}

async fn pause(
    store: &Store,
    actor: Actor,
    shard: Option<ShardId>,
    body: Value,
) -> Result<Json<PauseResource>, ProblemResponse> {
    let request: Request =
        serde_json::from_value(body).map_err(|error| invalid(error.to_string()))?;
    let actor = because(actor, request.reason)?;
    let expires_in = match request.expires_in_seconds {
        Some(seconds @ 1..=LONGEST_SECONDS) => Some(Duration::from_secs(seconds)),
        None => None,
        Some(_) => {
            return Err(invalid(format!(
                "expires_in_seconds is 1 to {LONGEST_SECONDS}"
            )));
        }
    };
    let paused = store.pause(shard, &actor, expires_in).await;
    let paused = paused.map_err(database)?.ok_or_else(|| {
        Problem::new(
            ProblemCode::ResizeUnderWay,
            "a resize drains every shard now, which takes seconds: pause after it",
        )
    })?;
    tracing::info!(?shard, by = actor.label(), "paused");
    Ok(Json(paused.into()))
}

impl From<ShardPause> for PauseResource {
    fn from(pause: ShardPause) -> Self {
        Self {
            shard: pause.shard.map(|shard| shard.to_string()),
            paused_by: pause.paused_by,
            reason: pause.reason,
            paused_at: timestamp::format(pause.paused_at),
            expires_at: pause.expires_at.map(timestamp::format),
        }
    }
}
