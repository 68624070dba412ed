//! `POST /v1/orders/{order_id}/pause` `{"reason", "expires_in_seconds"?}` and `/resume` `{"reason"}`: lets the later commands of an
//! order wait, and go on.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use orderly_domain::OrderId;
use orderly_http::{IdempotencyKey, JsonBody, ProblemResponse, scope};
use orderly_protocol::OrderRequest;

use super::answer::answer;
use super::controls::Controls;
use super::invalid_control;
use crate::operator::Operator;
use crate::request::OrderPath;

pub(super) async fn pause(
    State(controls): State<Controls>,
    operator: Operator<scope::OpsWrite>,
    OrderPath(order_id): OrderPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let request = OrderRequest::parse_pause(&body).map_err(invalid_control)?;
    send(&controls, &operator, order_id, &headers, request).await
}

pub(super) async fn resume(
    State(controls): State<Controls>,
    operator: Operator<scope::OpsWrite>,
    OrderPath(order_id): OrderPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let request = OrderRequest::parse_resume(&body).map_err(invalid_control)?;
    send(&controls, &operator, order_id, &headers, request).await
}

async fn send(
    controls: &Controls,
    operator: &Operator<scope::OpsWrite>,
    order_id: OrderId,
    headers: &HeaderMap,
    request: OrderRequest,
) -> Result<Response, ProblemResponse> {
    let key = IdempotencyKey::from_headers(headers)?;
    let control = (request.reason, request.act);
    let by = (operator.caller(), &operator.actor);
    let sent = controls.send(by, key.as_ref(), None, order_id, control);
    answer(controls.store(), headers, sent.await?).await
}
