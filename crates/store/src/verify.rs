//! What `orderly verify` reads: every table of the truth as of one moment, page by page in key order.
//!
//! Pages instead of one long stream: each statement stays within the limits of its session, memory is bounded, and two
//! tables can be walked side by side on one connection.

use orderly_domain::{CommandId, OrderId, Sku, StockMovement, Version};
use orderly_protocol::{CommandOutcome, ControlKind, RecordedEvent};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::cell::{Row, from_version};
use crate::command::OutcomeCells;
use crate::event::EventCells;
use crate::stock::StockCells;
use crate::store::bounded;
use crate::{StockRow, Store, StoreError};

/// Rows per page: large enough that round trips do not count, small enough (some MB) to hold several pages.
const PAGE_ROWS: i64 = 1000;

/// Nobody forbids the nil UUID as an order id, but no order has version 0.
const BEFORE_ALL_ORDERS: (OrderId, Version) = (OrderId(Uuid::nil()), Version::NONE);

/// Commands and stock writes have ids of version 5 or 7, never this one.
const BEFORE_ALL_IDS: Uuid = Uuid::nil();

/// The database as of one moment, read-only. Every page is empty after the last row.
#[derive(Debug)]
pub struct Snapshot {
    tx: Transaction<'static, Postgres>,
}

/// An order with the columns that repeat parts of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectedOrder {
    /// Which.
    pub order_id: OrderId,
    /// Number of its events.
    pub version: Version,
    /// The column beside the state.
    pub status: String,
    /// The column beside the state.
    pub held: bool,
    /// The column beside the state.
    pub customer_id: String,
    /// The column beside the state.
    pub currency: String,
    /// The column beside the state.
    pub total_minor: i64,
    /// The column beside the state.
    pub captured_minor: i64,
    /// The column beside the state.
    pub refunded_minor: i64,
    /// The column beside the state.
    pub refund_pending_minor: i64,
    /// The whole order, as `orderly_protocol::parse_order_state` reads it.
    pub state: String,
}

/// What an event did to the stock of one SKU, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerMovement {
    /// The order of the event.
    pub order_id: OrderId,
    /// The event's version.
    pub version: Version,
    /// What it did.
    pub movement: StockMovement,
}

/// What a stock write did, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerWrite {
    /// Which.
    pub write_id: Uuid,
    /// Of which SKU.
    pub sku: Sku,
    /// The change of what is on hand.
    pub on_hand: i64,
}

impl Store {
    /// Opens a snapshot. End it soon: while it is open, Postgres keeps every row version that it could see.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let tx = bounded(
            self.pool()
                .begin_with("begin isolation level repeatable read, read only"),
        )
        .await?;
        Ok(Snapshot { tx })
    }
}

impl Snapshot {
    /// Orders after `after`, by id. The version only makes the cursor begin before the first id.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn orders(
        &mut self,
        after: Option<(OrderId, Version)>,
    ) -> Result<Vec<ProjectedOrder>, StoreError> {
        let (order_id, version) = after.unwrap_or(BEFORE_ALL_ORDERS);
        let rows = bounded(
            sqlx::query!(
                r#"select order_id, version, status, held, customer_id, currency, total_minor,
                       captured_minor, refunded_minor, refund_pending_minor, state::text as "state!"
                   from orders
                   where (order_id, version) > ($1, $2)
                   order by order_id, version
                   limit $3"#,
                order_id.0,
                from_version(version),
                PAGE_ROWS,
            )
            .fetch_all(&mut *self.tx),
        )
        .await?;
        rows.into_iter()
            .map(|cells| {
                Ok(ProjectedOrder {
                    order_id: OrderId(cells.order_id),
                    version: Row::new("orders", &cells.order_id)
                        .version("version", cells.version)?,
                    status: cells.status,
                    held: cells.held,
                    customer_id: cells.customer_id,
                    currency: cells.currency,
                    total_minor: cells.total_minor,
                    captured_minor: cells.captured_minor,
                    refunded_minor: cells.refunded_minor,
                    refund_pending_minor: cells.refund_pending_minor,
                    state: cells.state,
                })
            })
            .collect()
    }

    /// Events after `after`, by order id and version.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn events(
        &mut self,
        after: Option<(OrderId, Version)>,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let (order_id, version) = after.unwrap_or(BEFORE_ALL_ORDERS);
        let events = bounded(
            sqlx::query_as!(
                EventCells,
                r#"select order_id, version, command_id, type as event_type, data::text as "data!",
                       recorded_at, traceparent
                   from events
                   where (order_id, version) > ($1, $2)
                   order by order_id, version
                   limit $3"#,
                order_id.0,
                from_version(version),
                PAGE_ROWS,
            )
            .fetch_all(&mut *self.tx),
        )
        .await?;
        events.into_iter().map(RecordedEvent::try_from).collect()
    }

    /// Outcomes after `after`, by order id and command id. Without those of control commands, which make no event.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn outcomes(
        &mut self,
        after: Option<(OrderId, CommandId)>,
    ) -> Result<Vec<CommandOutcome>, StoreError> {
        let outcomes = bounded(
            sqlx::query_as!(
                OutcomeCells,
                r#"select command_id, order_id, producer, type as action_type, fingerprint, outcome,
                       version, rejection::text, accepted_at, decided_at
                   from commands
                   where (order_id, command_id) > ($1, $2) and type <> all($4)
                   order by order_id, command_id
                   limit $3"#,
                after.map_or(BEFORE_ALL_IDS, |(order_id, _)| order_id.0),
                after.map_or(BEFORE_ALL_IDS, |(_, command_id)| command_id.0),
                PAGE_ROWS,
                &ControlKind::ALL.map(|kind| kind.as_str().to_owned()),
            )
            .fetch_all(&mut *self.tx),
        )
        .await?;
        outcomes.into_iter().map(CommandOutcome::try_from).collect()
    }

    /// Stock movements after `after`, by order id, version and SKU.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn movements(
        &mut self,
        after: Option<&LedgerMovement>,
    ) -> Result<Vec<LedgerMovement>, StoreError> {
        let (order_id, version) =
            after.map_or(BEFORE_ALL_ORDERS, |last| (last.order_id, last.version));
        let rows = bounded(
            sqlx::query!(
                "select order_id, version, sku, on_hand, reserved
                 from stock_movements
                 where (order_id, version, sku) > ($1, $2, $3)
                 order by order_id, version, sku
                 limit $4",
                order_id.0,
                from_version(version),
                after.map_or("", |last| last.movement.sku.as_str()),
                PAGE_ROWS,
            )
            .fetch_all(&mut *self.tx),
        )
        .await?;
        rows.into_iter()
            .map(|cells| {
                let key = format!("{}.{}", cells.order_id, cells.version);
                let row = Row::new("stock_movements", &key);
                Ok(LedgerMovement {
                    order_id: OrderId(cells.order_id),
                    version: row.version("version", cells.version)?,
                    movement: StockMovement {
                        sku: row.sku("sku", &cells.sku)?,
                        on_hand: cells.on_hand,
                        reserved: cells.reserved,
                    },
                })
            })
            .collect()
    }

    /// Stock writes after `after`, by id.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn stock_writes(
        &mut self,
        after: Option<Uuid>,
    ) -> Result<Vec<LedgerWrite>, StoreError> {
        let rows = bounded(
            sqlx::query!(
                "select write_id, sku, on_hand
                 from stock_writes
                 where write_id > $1
                 order by write_id
                 limit $2",
                after.unwrap_or(BEFORE_ALL_IDS),
                PAGE_ROWS,
            )
            .fetch_all(&mut *self.tx),
        )
        .await?;
        rows.into_iter()
            .map(|cells| {
                let row = Row::new("stock_writes", &cells.write_id);
                Ok(LedgerWrite {
                    write_id: cells.write_id,
                    sku: row.sku("sku", &cells.sku)?,
                    on_hand: cells.on_hand,
                })
            })
            .collect()
    }

    /// Stock after `after`, by SKU.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn stock(&mut self, after: Option<&Sku>) -> Result<Vec<StockRow>, StoreError> {
        let rows = bounded(
            sqlx::query_as!(
                StockCells,
                "select sku, on_hand, reserved, updated_at
                 from stock
                 where sku > $1
                 order by sku
                 limit $2",
                after.map_or("", Sku::as_str),
                PAGE_ROWS,
            )
            .fetch_all(&mut *self.tx),
        )
        .await?;
        rows.into_iter().map(StockRow::try_from).collect()
    }
}
