//! What an event does to stock.

use crate::{Event, Order, StockMovement};

/// How `event` moves stock, given the order before it: one movement a SKU, in SKU order, none that moves nothing.
#[must_use]
pub fn movements(_before: Option<&Order>, _event: &Event) -> Vec<StockMovement> {
    unimplemented!()
}
