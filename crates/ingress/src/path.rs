//! Ids in paths.

use orderly_domain::{CommandId, OrderId};
use orderly_http::ProblemResponse;
use orderly_protocol::{ProblemCode, ids};

pub(crate) fn order_id(text: &str) -> Result<OrderId, ProblemResponse> {
    ids::parse_uuid(text)
        .map(OrderId)
        .ok_or_else(|| not_a_uuid("order id"))
}

pub(crate) fn command_id(text: &str) -> Result<CommandId, ProblemResponse> {
    ids::parse_uuid(text)
        .map(CommandId)
        .ok_or_else(|| not_a_uuid("command id"))
}

fn not_a_uuid(what: &str) -> ProblemResponse {
    ProblemResponse::new(
        ProblemCode::InvalidParameter,
        format!("the {what} in the path is not a UUID"),
    )
}
