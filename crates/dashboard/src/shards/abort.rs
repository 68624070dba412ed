//! `POST /v1/shards/resize/abort`: takes back the resize that is under way, while that is possible.

use axum::Json;
use axum::extract::State;
use orderly_http::{ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::{ResizeRefusal, Store};

use super::resize::{ResizeResource, refused};
use crate::failure::database;
use crate::operator::Operator;

pub(crate) async fn handle(
    State(store): State<Store>,
    operator: Operator<scope::OpsWrite>,
) -> Result<Json<ResizeResource>, ProblemResponse> {
    let aborted = store.abort_resize(&operator.actor).await;
    if let Some(aborted) = aborted.map_err(database)? {
        let by = operator.actor.label();
        tracing::info!(resize = aborted.id, by, "resize aborted");
        return Ok(Json(aborted.into()));
    }
    Err(match store.open_resize().await.map_err(database)? {
        Some(open) => refused(&ResizeRefusal::UnderWay(Box::new(open))),
        None => Problem::new(ProblemCode::NoResize, "no resize is under way"),
    }
    .into())
}
