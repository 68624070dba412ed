//! `POST /v1/orders/{order_id}/commands`: any command for one order.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use orderly_domain::{Action, OrderId};
use orderly_http::{Authorized, JsonBody, ProblemResponse, RequestContext, Requirement};
use orderly_protocol::api_key::Scope;
use orderly_protocol::parse_command_request;

use crate::Ingress;
use crate::accept::accept;
use crate::header::Steering;
use crate::path::IdInPath;
use crate::submission::{Route, Submission, invalid_command};

/// Which of the two a command needs is known once its type is read.
pub(crate) struct CommandsOrPaymentsWrite;

impl Requirement for CommandsOrPaymentsWrite {
    const ANY_OF: &'static [Scope] = &[Scope::CommandsWrite, Scope::PaymentsWrite];
}

#[tracing::instrument(name = "ingress.commands.post", skip_all, fields(order.id, command.id))]
pub(crate) async fn post(
    State(ingress): State<Ingress>,
    authorized: Authorized<CommandsOrPaymentsWrite>,
    IdInPath(order_id): IdInPath<OrderId>,
    context: RequestContext,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let steering = Steering::read(&headers)?;
    let request = parse_command_request(body).map_err(invalid_command)?;
    let steering = match request.action {
        Action::Place(_) => steering.without_if_match()?,
        _ => steering,
    };
    let submission = Submission {
        route: Route::Command,
        caller: authorized.caller,
        steering,
        traceparent: context.traceparent,
        order_id: Some(order_id),
        action: request.action,
        data: request.data,
    };
    accept(&ingress, submission).await
}
