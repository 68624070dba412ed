//! One id, two requests: what the second one is told.

use orderly_domain::{CommandId, OrderId, ProducerId};
use orderly_http::ProblemResponse;
use orderly_protocol::{ProblemCode, ids};

/// The problem of a request whose id belongs to another request. A PUT without a key shares its id only with other PUTs of
/// the same order, so there it is the order that exists.
pub(crate) fn reused(
    command_id: CommandId,
    producer: ProducerId,
    order_id: OrderId,
) -> ProblemResponse {
    if command_id == ids::put_command_id(producer, order_id) {
        let detail = format!("order {order_id} was already requested with other content");
        ProblemResponse::new(ProblemCode::OrderExists, detail)
    } else {
        let detail = "this Idempotency-Key was first used for another request; use a new key for a new request";
        ProblemResponse::new(ProblemCode::IdempotencyKeyReused, detail)
    }
}
