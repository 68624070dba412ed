//! Reads of the events of an order. Writing them is the batch's.

use orderly_domain::{CommandId, OrderId, Version};
use orderly_protocol::RecordedEvent;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cell::{Row, from_version};
use crate::store::bounded;
use crate::{Store, StoreError};

/// The cells of an event, as every statement that reads events selects them.
pub(crate) struct EventCells {
    pub(crate) order_id: Uuid,
    pub(crate) version: i64,
    pub(crate) command_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) data: String,
    pub(crate) recorded_at: OffsetDateTime,
    pub(crate) traceparent: Option<String>,
}

impl Store {
    /// The order's events after version `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Any fault of the database, and an event that cannot be read.
    pub async fn events(
        &self,
        order_id: OrderId,
        after: Version,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let events = bounded(
            sqlx::query_as!(
                EventCells,
                r#"select order_id, version, command_id, type as event_type, data::text as "data!",
                       recorded_at, traceparent
                   from events
                   where order_id = $1 and version > $2
                   order by version
                   limit $3"#,
                order_id.0,
                from_version(after),
                i64::from(limit),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        events.into_iter().map(RecordedEvent::try_from).collect()
    }
}

impl TryFrom<EventCells> for RecordedEvent {
    type Error = StoreError;

    fn try_from(cells: EventCells) -> Result<Self, StoreError> {
        let key = format!("{}.{}", cells.order_id, cells.version);
        let row = Row::new("events", &key);
        Ok(Self {
            order_id: OrderId(cells.order_id),
            version: row.version("version", cells.version)?,
            command_id: CommandId(cells.command_id),
            event_type: cells.event_type,
            data: row.json("data", cells.data)?,
            recorded_at: cells.recorded_at,
            traceparent: cells.traceparent,
        })
    }
}
