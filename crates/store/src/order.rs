//! Reads of one order as it is now, and of what could not be read.

use orderly_domain::{OrderId, Version};
use orderly_protocol::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Store, StoreError};

/// An order as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// Which.
    pub order_id: OrderId,
    /// Number of its events.
    pub version: Version,
    /// The whole order, as `orderly_protocol::parse_order_state` reads it.
    pub state: String,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

struct OrderCells {
    order_id: Uuid,
    version: i64,
    state: String,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl Store {
    /// An order as it is now, if there is one.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn order(&self, order_id: OrderId) -> Result<Option<OrderRow>, StoreError> {
        let cells = bounded(
            sqlx::query_as!(
                OrderCells,
                r#"select order_id, version, state::text as "state!", created_at, updated_at
                   from orders where order_id = $1"#,
                order_id.0,
            )
            .fetch_optional(self.pool()),
        )
        .await?;
        cells.map(OrderRow::try_from).transpose()
    }
}

impl TryFrom<OrderCells> for OrderRow {
    type Error = StoreError;

    fn try_from(cells: OrderCells) -> Result<Self, StoreError> {
        let row = Row::new("orders", &cells.order_id);
        Ok(Self {
            order_id: OrderId(cells.order_id),
            version: row.version("version", cells.version)?,
            state: cells.state,
            created_at: cells.created_at,
            updated_at: cells.updated_at,
        })
    }
}
