//! Everything that the tables hold of one order, brought together from four of them in one pass.

use orderly_domain::OrderId;
use orderly_protocol::{CommandOutcome, Outcome, RecordedEvent};
use orderly_store::{LedgerMovement, ProjectedOrder, Snapshot, StoreError};

use super::{Counts, pages::Pages};

/// One order, or one id that only rejected commands name.
#[derive(Debug)]
pub(super) struct History {
    pub(super) order_id: OrderId,
    pub(super) order: Option<ProjectedOrder>,
    /// By version.
    pub(super) events: Vec<RecordedEvent>,
    pub(super) outcomes: Vec<CommandOutcome>,
    /// By version and SKU.
    pub(super) movements: Vec<LedgerMovement>,
}

/// All histories, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Histories {
    orders: Pages<ProjectedOrder>,
    events: Pages<RecordedEvent>,
    outcomes: Pages<CommandOutcome>,
    movements: Pages<LedgerMovement>,
}

impl Histories {
    /// The next one, or `None` after the last.
    pub(super) async fn next(
        &mut self,
        snapshot: &mut Snapshot,
    ) -> Result<Option<History>, StoreError> {
        let heads = [
            self.orders.next_order(snapshot).await?,
            self.events.next_order(snapshot).await?,
            self.outcomes.next_order(snapshot).await?,
            self.movements.next_order(snapshot).await?,
        ];
        let Some(order_id) = heads.into_iter().flatten().min() else {
            return Ok(None);
        };
        let order = self.orders.take(order_id, snapshot).await?.pop();
        let events = self.events.take(order_id, snapshot).await?;
        let outcomes = self.outcomes.take(order_id, snapshot).await?;
        let movements = self.movements.take(order_id, snapshot).await?;
        Ok(Some(History {
            order_id,
            order,
            events,
            outcomes,
            movements,
        }))
    }
}

impl History {
    /// Adds what is here.
    pub(super) fn count(&self, counts: &mut Counts) {
        counts.orders += usize::from(self.order.is_some());
        counts.events += self.events.len();
        counts.stock_movements += self.movements.len();
        for outcome in &self.outcomes {
            match outcome.outcome {
                Outcome::Applied => counts.outcomes_applied += 1,
                Outcome::Rejected => counts.outcomes_rejected += 1,
                Outcome::Discarded => counts.outcomes_discarded += 1,
            }
        }
        if let Some(order) = &self.order {
            counts.captured_minor += i128::from(order.captured_minor);
            counts.refunded_minor += i128::from(order.refunded_minor);
        }
    }
}
