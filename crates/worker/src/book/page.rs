//! One order during a batch: as it was found, as it is now, and what must be written of it.

use orderly_domain::{Order, Version, guarded};
use orderly_protocol::{order_state, parse_order_state};
use orderly_store::{LoadedOrder, OrderWrite};

use crate::item::Undecidable;

/// One order during the batch.
pub(super) struct Page {
    loaded: Version,
    /// The order now, or why its state cannot be read.
    pub(super) order: Result<Option<Order>, Undecidable>,
    pub(super) changed: bool,
    /// The last position of its lane, if it has one.
    pub(super) lane_tail: Option<i64>,
}

impl Page {
    pub(super) fn of(found: LoadedOrder) -> Self {
        let (loaded, order) = match found.row {
            None => (Version::NONE, Ok(None)),
            Some((version, state)) => (version, read_state(version, &state).map(Some)),
        };
        Self {
            loaded,
            order,
            changed: false,
            lane_tail: found.lane_tail,
        }
    }

    /// The version it is at, also when its state cannot be read.
    pub(super) fn version(&self) -> Version {
        match &self.order {
            Ok(Some(order)) => order.version,
            Ok(None) | Err(_) => self.loaded,
        }
    }

    /// The order as it must be written, if it changed.
    pub(super) fn write(&self) -> Option<OrderWrite> {
        match &self.order {
            Ok(Some(order)) if self.changed => Some(order_write(self.loaded, order)),
            _ => None,
        }
    }
}

fn read_state(version: Version, state: &str) -> Result<Order, Undecidable> {
    let unreadable = |detail: String| Undecidable {
        code: "unreadable_state",
        detail,
    };
    let order = guarded(|| parse_order_state(state))
        .map_err(unreadable)?
        .map_err(|error| unreadable(error.to_string()))?;
    if order.version == version {
        Ok(order)
    } else {
        Err(unreadable(format!(
            "its row is at version {version}, its state at {}",
            order.version
        )))
    }
}

fn order_write(loaded: Version, order: &Order) -> OrderWrite {
    OrderWrite {
        order_id: order.order_id,
        loaded,
        version: order.version,
        status: order.status.as_str(),
        held: order.hold.is_some(),
        customer_id: order.customer_id.clone(),
        currency: order.currency.to_string(),
        total_minor: order.total_minor(),
        captured_minor: order.captured_minor(),
        refunded_minor: order.refunded_minor(),
        refund_pending_minor: order.refund_pending_minor(),
        state: order_state(order),
    }
}
