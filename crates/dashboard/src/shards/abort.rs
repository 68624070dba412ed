//! `POST /v1/shards/resize/abort`: takes back the resize that is under way, while that is possible.

use axum::Json;
use axum::extract::State;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::Store;

use super::operator;
use super::resize::{ResizeResource, refused};
use crate::failure::database;
use orderly_store::ResizeRefusal;

pub(crate) async fn handle(
    State(store): State<Store>,
    authorized: Authorized<scope::OpsWrite>,
) -> Result<Json<ResizeResource>, ProblemResponse> {
    if let Some(aborted) = store.abort_resize().await.map_err(database)? {
        let by = operator(&authorized.caller);
        tracing::info!(resize = aborted.id, by, "resize aborted");
        return Ok(Json(aborted.into()));
    }
    Err(match store.open_resize().await.map_err(database)? {
        Some(open) => refused(&ResizeRefusal::UnderWay(Box::new(open))),
        None => Problem::new(ProblemCode::NoResize, "no resize is under way"),
    }
    .into())
}
