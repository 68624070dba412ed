//! `POST /v1/orders`: places an order under an id that the client names, or that follows from its key.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use orderly_http::{Authorized, JsonBody, ProblemResponse, RequestContext, scope::CommandsWrite};
use orderly_protocol::parse_place_request;

use crate::Ingress;
use crate::accept::accept;
use crate::header::Steering;
use crate::submission::{Route, Submission, invalid_command};

#[tracing::instrument(name = "ingress.orders.place", skip_all, fields(order.id, command.id))]
pub(crate) async fn place(
    State(ingress): State<Ingress>,
    authorized: Authorized<CommandsWrite>,
    context: RequestContext,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let steering = Steering::read(&headers)?.without_if_match()?;
    let request = parse_place_request(body, false).map_err(invalid_command)?;
    let submission = Submission {
        route: Route::PlacePost,
        caller: authorized.caller,
        steering,
        traceparent: context.traceparent,
        order_id: request.order_id,
        action: request.action,
        data: request.data,
    };
    accept(&ingress, submission).await
}
