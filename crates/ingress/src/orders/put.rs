//! `PUT /v1/orders/{order_id}`: places the order that the client names. The same content again is the same command.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use orderly_domain::OrderId;
use orderly_http::{Authorized, JsonBody, ProblemResponse, RequestContext, scope::CommandsWrite};
use orderly_protocol::parse_place_request;

use crate::Ingress;
use crate::accept::accept;
use crate::header::Steering;
use crate::path::IdInPath;
use crate::submission::{Route, Submission, invalid_command};

#[tracing::instrument(name = "ingress.orders.put", skip_all, fields(order.id, command.id))]
pub(crate) async fn put(
    State(ingress): State<Ingress>,
    authorized: Authorized<CommandsWrite>,
    IdInPath(order_id): IdInPath<OrderId>,
    context: RequestContext,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let steering = Steering::read(&headers)?.without_if_match()?;
    let request = parse_place_request(body, true).map_err(invalid_command)?;
    let submission = Submission {
        route: Route::PlacePut,
        caller: authorized.caller,
        steering,
        traceparent: context.traceparent,
        order_id: Some(order_id),
        action: request.action,
        data: request.data,
    };
    accept(&ingress, submission).await
}
