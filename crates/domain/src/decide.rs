//! What a command does to an order: one event, or a rejection.

use crate::{Command, Event, Order, Rejection, Sku, StockLevels};

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It happens.
    Applied(Event),
    /// It does not.
    Rejected(Rejection),
}

/// A decision needs the stock of a SKU that was not loaded. The caller's fault, not the command's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stock of SKU {0} was not loaded")]
pub struct SkuNotLoaded(pub Sku);

/// Decides one command.
///
/// # Errors
/// The stock of a SKU was needed that `stock` does not know of.
pub fn decide(
    _order: Option<&Order>,
    _stock: &StockLevels,
    _command: &Command,
) -> Result<Decision, SkuNotLoaded> {
    unimplemented!()
}

/// The names of the commands that a producer can send now.
#[must_use]
pub fn allowed_commands(_order: Option<&Order>) -> Vec<&'static str> {
    unimplemented!()
}
