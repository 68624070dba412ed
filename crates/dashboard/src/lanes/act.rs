//! `POST /v1/lanes/{order_id}/retry|skip|edit|discard` `{"command_id", "reason", "dry_run"?}`, for an edit with `"replacement":
//! {"type", "data"}`: acts on one lane, or says what that would do.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use orderly_domain::Action;
use orderly_http::{Caller, IdempotencyKey, JsonBody, ProblemResponse, scope};
use orderly_protocol::api_key::Scope;
use orderly_protocol::{
    ControlAct, ControlKind, FieldFault, LaneRequest, Replacement, parse_action,
};

use super::answer::answer;
use super::controls::Controls;
use super::{invalid_control, rehearse};
use crate::operator::Operator;
use crate::request::OrderPath;

pub(super) async fn handle(
    kind: ControlKind,
    State(controls): State<Controls>,
    operator: Operator<scope::OpsWrite>,
    OrderPath(order_id): OrderPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let key = IdempotencyKey::from_headers(&headers)?;
    let request = LaneRequest::parse(kind, &body).map_err(invalid_control)?;
    let caller = operator.caller();
    if let ControlAct::Edit { replacement, .. } = &request.act {
        check(caller, replacement)?;
    }
    let store = controls.store();
    if request.dry_run {
        let rehearsed = rehearse::rehearse(store, order_id, &request.act).await?;
        return Ok(Json(rehearsed).into_response());
    }
    let control = (request.reason, request.act);
    let sent = controls.send(
        (caller, &operator.actor),
        key.as_ref(),
        None,
        order_id,
        control,
    );
    answer(store, &headers, sent.await?).await
}

/// A replacement is a command like any other: what an ingress would refuse is refused here, for the same reasons.
fn check(caller: &Caller, replacement: &Replacement) -> Result<(), ProblemResponse> {
    const POINTER: &str = "/replacement";
    let under = |faults: Vec<FieldFault>, pointer: &str| {
        let faults = faults.into_iter().map(|fault| fault.under(pointer));
        invalid_control(faults.collect())
    };
    let data_pointer = format!("{POINTER}/data");
    let action = parse_action(&replacement.action_type, &replacement.data)
        .map_err(|faults| under(faults, &data_pointer))?;
    if matches!(action, Action::RecordPayment(_) | Action::RecordRefund(_)) {
        caller.require(Scope::PaymentsWrite)?;
    }
    let faults: Vec<FieldFault> = action.faults().iter().map(FieldFault::from).collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(under(faults, &data_pointer))
    }
}
