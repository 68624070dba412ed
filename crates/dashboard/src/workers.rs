//! `POST /v1/workers/{worker}/drain` `{"reason"}`: its shards go to others, so that it can be stopped. `GET /v1/shards` tells how far
//! that has come. Again is allowed, and counts. `POST /v1/workers/{worker}/resume` lets it have its share again.

use axum::Json;
use axum::extract::{Path, State};
use orderly_http::{JsonBody, ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode, serde_json, timestamp};
use orderly_store::{DrainRefusal, Store, WorkerDrain};
use serde::{Deserialize, Serialize};

use crate::failure::database;
use crate::operator::Operator;
use crate::request::invalid;
use crate::shards::because;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    reason: String,
}

/// A drain as it is told.
#[derive(Serialize)]
pub(crate) struct DrainResource {
    drained_by: String,
    reason: String,
    drained_at: String,
}

/// Whose it is.
#[derive(Serialize)]
pub(crate) struct Drained {
    worker: String,
    draining: DrainResource,
}

/// What it changed.
#[derive(Serialize)]
pub(crate) struct Resumed {
    worker: String,
    was_draining: bool,
}

pub(crate) async fn drain(
    State(store): State<Store>,
    operator: Operator<scope::OpsWrite>,
    Path(worker): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<Drained>, ProblemResponse> {
    let request: Request =
        serde_json::from_value(body).map_err(|error| invalid(error.to_string()))?;
    let actor = because(operator.actor, request.reason)?;
    let drained = store.drain(&worker, &actor).await.map_err(database)?;
    let drain = drained.map_err(refused)?;
    tracing::info!(worker, by = actor.label(), "worker drained");
    Ok(Json(Drained {
        worker,
        draining: drain.into(),
    }))
}

pub(crate) async fn resume(
    State(store): State<Store>,
    operator: Operator<scope::OpsWrite>,
    Path(worker): Path<String>,
) -> Result<Json<Resumed>, ProblemResponse> {
    let listed = store.workers().await.map_err(database)?;
    if !listed.iter().any(|row| row.worker == worker) {
        return Err(refused(DrainRefusal::NotAlive).into());
    }
    let resumed = store.resume_worker(&worker, &operator.actor).await;
    let was_draining = resumed.map_err(database)?;
    let by = operator.actor.label();
    tracing::info!(worker, by, was_draining, "worker resumed");
    Ok(Json(Resumed {
        worker,
        was_draining,
    }))
}

fn refused(refusal: DrainRefusal) -> Problem {
    match refusal {
        DrainRefusal::NotAlive => Problem::new(
            ProblemCode::NotFound,
            "no worker of this name is alive; `GET /v1/shards` lists them",
        ),
        DrainRefusal::LastWorker => Problem::new(
            ProblemCode::LastWorker,
            "every other worker is drained or dead, so nobody could take its shards: start another, or resume one",
        ),
    }
}

impl From<WorkerDrain> for DrainResource {
    fn from(drain: WorkerDrain) -> Self {
        Self {
            drained_by: drain.drained_by,
            reason: drain.reason,
            drained_at: timestamp::format(drain.drained_at),
        }
    }
}
