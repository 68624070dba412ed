//! `POST /v1/shards/resize` `{"count", "reason"}`: another number of shards, while commands flow. Workers do it; the answer tells
//! that it was begun, and `GET /v1/shards` how far it has come. The same again, while it is under way, is the same resize.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use orderly_http::{JsonBody, ProblemResponse, scope};
use orderly_protocol::serde_json;
use orderly_protocol::{Problem, ProblemCode, timestamp};
use orderly_store::{Resize, ResizeRefusal, Store};
use serde::{Deserialize, Serialize};

use super::because;
use crate::failure::database;
use crate::operator::Operator;
use crate::request::invalid;

/// Queue names have three digits for the shard.
pub(super) const MOST_SHARDS: i32 = 999;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    count: i32,
    reason: String,
}

/// A resize as it is told.
#[derive(Serialize)]
pub(crate) struct ResizeResource {
    id: i32,
    from: i32,
    to: i32,
    from_generation: i32,
    to_generation: i32,
    /// requested, declaring, settling, unbinding, flipped, marking, draining, done, aborted.
    step: &'static str,
    requested_by: String,
    reason: String,
    /// The worker that took the last step.
    coordinator: Option<String>,
    requested_at: String,
    finished_at: Option<String>,
    /// Old shards that met marker 1.
    marked: i64,
    /// Old shards that met marker 2.
    drained: i64,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    operator: Operator<scope::OpsWrite>,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<ResizeResource>), ProblemResponse> {
    let request: Request =
        serde_json::from_value(body).map_err(|error| invalid(error.to_string()))?;
    let count = checked_count(request.count)?;
    let actor = because(operator.actor, request.reason)?;
    let asked = store.request_resize(count, &actor).await;
    let resize = match asked.map_err(database)? {
        Ok(resize) => resize,
        // Asked for again.
        Err(ResizeRefusal::UnderWay(open)) if open.to_count == count => *open,
        Err(refusal) => return Err(refused(&refusal).into()),
    };
    let by = actor.label();
    tracing::info!(resize = resize.id, shards = count, by, "resize asked for");
    Ok((StatusCode::ACCEPTED, Json(resize.into())))
}

pub(super) fn checked_count(count: i32) -> Result<i32, ProblemResponse> {
    if (1..=MOST_SHARDS).contains(&count) {
        Ok(count)
    } else {
        Err(invalid(format!("count is 1 to {MOST_SHARDS}")))
    }
}

pub(super) fn refused(refusal: &ResizeRefusal) -> Problem {
    match refusal {
        ResizeRefusal::UnderWay(open) => Problem::new(
            ProblemCode::ResizeUnderWay,
            format!(
                "the resize from {} to {} shards is at the step {}",
                open.from_count,
                open.to_count,
                open.step.as_str()
            ),
        ),
        ResizeRefusal::SameCount => Problem::new(
            ProblemCode::SameShardCount,
            "there are so many shards already",
        ),
        ResizeRefusal::NoGeneration => Problem::new(
            ProblemCode::NotReady,
            "no generation takes commands yet: `orderly topology apply` opens the first",
        ),
        ResizeRefusal::Paused => Problem::new(
            ProblemCode::ShardsPaused,
            "a paused shard cannot be drained: resume it first",
        ),
    }
}

impl From<Resize> for ResizeResource {
    fn from(resize: Resize) -> Self {
        Self {
            id: resize.id,
            from: resize.from_count,
            to: resize.to_count,
            from_generation: resize.from_generation,
            to_generation: resize.to_generation,
            step: resize.step.as_str(),
            requested_by: resize.requested_by,
            reason: resize.reason,
            coordinator: resize.coordinator,
            requested_at: timestamp::format(resize.requested_at),
            finished_at: resize.finished_at.map(timestamp::format),
            marked: resize.marked,
            drained: resize.drained,
        }
    }
}
