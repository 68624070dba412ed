//! What an event makes of an order.

use crate::{Event, Order, OrderId, PaymentId, RefundId};

/// An event does not fit the order it is said to have happened to: the log is damaged or out of order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreplayable {
    /// `placed` on an order that exists.
    #[error("the order exists already")]
    AlreadyPlaced,
    /// Anything else on an order that does not.
    #[error("the order does not exist yet")]
    NotPlaced,
    /// The event is about another order.
    #[error("the state is that of order {0}")]
    OtherOrder(OrderId),
    /// A line that the order does not have, or more of it than an `i64` can count.
    #[error("the event does not fit line {0}")]
    Line(u32),
    /// A payment that the order does not have.
    #[error("the order has no payment {0}")]
    Payment(PaymentId),
    /// A refund that the order does not have.
    #[error("the order has no refund {0}")]
    Refund(RefundId),
}

/// The order after `event`, one version further.
///
/// # Errors
/// The event does not fit the order.
pub fn evolve(
    _order: Option<&Order>,
    _order_id: OrderId,
    _event: &Event,
) -> Result<Order, Unreplayable> {
    unimplemented!()
}
