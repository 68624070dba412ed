//! Reads of orders.

pub(crate) mod events;
mod hindrance;
pub(crate) mod list;
pub(crate) mod show;

use orderly_domain::OrderId;
use orderly_http::ProblemResponse;
use orderly_protocol::{Problem, ProblemCode};

fn not_found(order_id: OrderId) -> ProblemResponse {
    Problem::new(
        ProblemCode::OrderNotFound,
        format!("there is no order {order_id}"),
    )
    .into()
}
