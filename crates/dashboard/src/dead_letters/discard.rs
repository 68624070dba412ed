//! `POST /v1/dead-letters/{id}/discard` `{"reason", "dry_run"?}`: nothing will come of it. Its bytes stay.

use axum::extract::{Path, State};
use axum::response::Response;
use orderly_http::{JsonBody, ProblemResponse, scope};
use orderly_store::ResolutionKind;
use serde::Deserialize;

use super::resolve::{Wish, resolve};
use super::{check, read};
use crate::DashboardState;
use crate::operator::Operator;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn handle(
    State(state): State<DashboardState>,
    operator: Operator<scope::OpsWrite>,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let request: Request = read(body)?;
    check(Some(&request.reason))?;
    let wish = Wish {
        kind: ResolutionKind::Discarded,
        actor: operator.actor.because(Some(request.reason)),
        dry_run: request.dry_run,
    };
    resolve(&state, id, wish, |_| Ok(Vec::new())).await
}
