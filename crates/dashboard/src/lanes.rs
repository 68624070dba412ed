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
use axum::routing::{get, post};
use orderly_http::ProblemResponse;
use orderly_protocol::{ControlKind, FieldFault, Problem, ProblemCode};

use crate::DashboardState;

pub use controls::Controls;
pub(crate) use resource::waiting;

/// Its routes.
pub(crate) fn routes() -> Router<DashboardState> {
    let mut router = Router::new()
        .route("/v1/lanes", get(list::handle))
        .route("/v1/lanes/{order_id}", get(show::handle))
        .route("/v1/orders/{order_id}/pause", post(pause::pause))
        .route("/v1/orders/{order_id}/resume", post(pause::resume));
    for (verb, kind) in [
        ("retry", ControlKind::LaneRetry),
        ("skip", ControlKind::LaneSkip),
        ("edit", ControlKind::LaneEdit),
        ("discard", ControlKind::LaneDiscard),
    ] {
        let one = move |state, caller, path, headers, body| {
            act::handle(kind, state, caller, path, headers, body)
        };
        router = router.route(&format!("/v1/lanes/{{order_id}}/{verb}"), post(one));
        // Another command for each of many orders is nothing that one request could say.
        if kind != ControlKind::LaneEdit {
            let group = move |state, caller, headers, body| {
                group::handle(kind, state, caller, headers, body)
            };
            router = router.route(&format!("/v1/lanes/{verb}"), post(group));
        }
    }
    router
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
