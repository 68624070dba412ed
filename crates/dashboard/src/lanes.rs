//! Lanes and pauses: what waits, why, and the control commands by which operators act on it. They are sent to the order's shard
//! like any command; nothing is decided here.

mod act;
mod answer;
mod controls;
mod expiry;
mod group;
pub(crate) mod list;
mod pause;
mod rehearse;
mod resource;
pub(crate) mod show;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use orderly_http::ProblemResponse;
use orderly_protocol::ControlKind::{self, LaneDiscard, LaneEdit, LaneRetry, LaneSkip};
use orderly_protocol::{FieldFault, Problem, ProblemCode};

use crate::DashboardState;

pub use controls::Controls;
pub(crate) use resource::waiting;

/// Its routes.
pub(crate) fn routes() -> Router<DashboardState> {
    Router::new()
        .route("/v1/lanes", get(list::handle))
        .route("/v1/lanes/{order_id}", get(show::handle))
        .route("/v1/lanes/{order_id}/retry", post_one(LaneRetry))
        .route("/v1/lanes/{order_id}/skip", post_one(LaneSkip))
        .route("/v1/lanes/{order_id}/edit", post_one(LaneEdit))
        .route("/v1/lanes/{order_id}/discard", post_one(LaneDiscard))
        // Another command for each of many orders is nothing that one request could say: there is no edit.
        .route("/v1/lanes/retry", post_group(LaneRetry))
        .route("/v1/lanes/skip", post_group(LaneSkip))
        .route("/v1/lanes/discard", post_group(LaneDiscard))
        .route("/v1/orders/{order_id}/pause", post(pause::pause))
        .route("/v1/orders/{order_id}/resume", post(pause::resume))
}

fn post_one(kind: ControlKind) -> MethodRouter<DashboardState> {
    post(move |state, caller, path, headers, body| {
        act::handle(kind, state, caller, path, headers, body)
    })
}

fn post_group(kind: ControlKind) -> MethodRouter<DashboardState> {
    post(move |state, caller, headers, body| group::handle(kind, state, caller, headers, body))
}

/// 422 with every fault.
fn invalid_control(faults: Vec<FieldFault>) -> ProblemResponse {
    let detail = match faults.len() {
        1 => "1 fault was found; errors says what and where".to_owned(),
        count => format!("{count} faults were found; errors says what and where"),
    };
    Problem::new(ProblemCode::InvalidCommand, detail)
        .with_errors(faults)
        .into()
}
