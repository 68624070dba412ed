//! Reads of lanes: which orders wait, why, behind what, and what control commands did about it.

use orderly_domain::{CommandId, OrderId};
use orderly_protocol::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::batch::{ControlRecord, EntryCells, LaneEntry, LaneState, Pause, Releasing};
use crate::store::bounded;
use crate::{Store, StoreError};

/// An order's lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Whose.
    pub order_id: OrderId,
    /// Why it is there.
    pub state: LaneState,
    /// How many commands wait in it.
    pub commands: i64,
    /// The first of them.
    pub head: Option<LaneHead>,
    /// Seconds since it is there, by the database's clock.
    pub seconds: i64,
}

/// The first command of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneHead {
    /// Which.
    pub command_id: CommandId,
    /// Its type, as the envelope says.
    pub action_type: String,
}

/// A pause whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiredPause {
    /// The paused order.
    pub order_id: OrderId,
    /// The control command that paused it.
    pub pause_id: CommandId,
    /// When it was to end.
    pub until: Timestamp,
}

struct LaneCells {
    order_id: Uuid,
    reason: String,
    detail: String,
    parked_at: OffsetDateTime,
    pause_id: Option<Uuid>,
    paused_by: Option<String>,
    paused_reason: Option<String>,
    paused_at: Option<OffsetDateTime>,
    paused_until: Option<OffsetDateTime>,
    releasing: Option<Uuid>,
    discard_through: Option<i64>,
    decided: i64,
    discarded: i64,
    commands: i64,
    head: Option<Uuid>,
    head_type: Option<String>,
    seconds: i64,
}

impl Store {
    /// The order's lane, if it has one.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn lane(&self, order_id: OrderId) -> Result<Option<Lane>, StoreError> {
        let mut found = self.lanes_from(order_id, 1).await?;
        Ok(found.pop().filter(|lane| lane.order_id == order_id))
    }

    /// Lanes in the order of their orders' ids, from this id on.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn lanes_from(&self, from: OrderId, limit: u32) -> Result<Vec<Lane>, StoreError> {
        let rows = bounded(
            sqlx::query_as!(
                LaneCells,
                r#"select lanes.order_id, reason, detail, lanes.parked_at, pause_id, paused_by, paused_reason,
                       paused_at, paused_until, releasing, discard_through, decided, discarded,
                       (select count(*) from lane_entries
                        where lane_entries.order_id = lanes.order_id) as "commands!",
                       head.command_id as "head?", head.type as "head_type?",
                       extract(epoch from clock_timestamp() - lanes.parked_at)::bigint as "seconds!"
                   from lanes
                   left join lateral (
                       select command_id, type from lane_entries
                       where lane_entries.order_id = lanes.order_id
                       order by position limit 1
                   ) as head on true
                   where lanes.order_id >= $1
                   order by lanes.order_id
                   limit $2"#,
                from.0,
                i64::from(limit),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        Ok(rows.into_iter().map(Lane::from).collect())
    }

    /// Commands of a lane behind this position, oldest first.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn lane_entries(
        &self,
        order_id: OrderId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<LaneEntry>, StoreError> {
        let rows = bounded(
            sqlx::query_as!(
                EntryCells,
                "select position, command_id, producer, type as action_type, fingerprint, envelope,
                     accepted_at, parked_at
                 from lane_entries
                 where order_id = $1 and position > $2
                 order by position
                 limit $3",
                order_id.0,
                after,
                i64::from(limit),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        rows.into_iter().map(LaneEntry::try_from).collect()
    }

    /// What a control command did, if it is decided.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn control(
        &self,
        command_id: CommandId,
    ) -> Result<Option<ControlRecord>, StoreError> {
        let row = bounded(
            sqlx::query!(
                "select order_id, given_by, reason, head, replacement, decided, discarded, waiting
                 from controls where command_id = $1",
                command_id.0,
            )
            .fetch_optional(self.pool()),
        )
        .await?;
        Ok(row.map(|cells| ControlRecord {
            command_id,
            order_id: OrderId(cells.order_id),
            by: cells.given_by,
            reason: cells.reason,
            head: cells.head.map(CommandId),
            replacement: cells.replacement.map(CommandId),
            decided: cells.decided,
            discarded: cells.discarded,
            waiting: cells.waiting,
        }))
    }

    /// Pauses whose time is over by the database's clock, those first that should have ended first.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn expired_pauses(&self, limit: u32) -> Result<Vec<ExpiredPause>, StoreError> {
        let rows = bounded(
            sqlx::query!(
                r#"select order_id, pause_id as "pause_id!", paused_until as "until!"
                   from lanes
                   where paused_until <= clock_timestamp()
                   order by paused_until
                   limit $1"#,
                i64::from(limit),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        let pause = rows.into_iter().map(|cells| ExpiredPause {
            order_id: OrderId(cells.order_id),
            pause_id: CommandId(cells.pause_id),
            until: cells.until,
        });
        Ok(pause.collect())
    }

    /// How many orders have a lane.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn parked_orders(&self) -> Result<i64, StoreError> {
        bounded(
            sqlx::query_scalar!(r#"select count(*) as "count!" from lanes"#).fetch_one(self.pool()),
        )
        .await
    }
}

impl From<LaneCells> for Lane {
    fn from(cells: LaneCells) -> Self {
        let pause = match (
            cells.pause_id,
            cells.paused_by,
            cells.paused_reason,
            cells.paused_at,
        ) {
            (Some(pause_id), Some(by), Some(reason), Some(at)) => Some(Pause {
                pause_id: CommandId(pause_id),
                by,
                reason,
                at,
                until: cells.paused_until,
            }),
            _ => None,
        };
        let releasing = cells.releasing.zip(cells.discard_through);
        let head = cells.head.zip(cells.head_type);
        Self {
            order_id: OrderId(cells.order_id),
            state: LaneState {
                reason: cells.reason,
                detail: cells.detail,
                parked_at: cells.parked_at,
                pause,
                releasing: releasing.map(|(by, discard_through)| Releasing {
                    by: CommandId(by),
                    discard_through,
                    decided: cells.decided,
                    discarded: cells.discarded,
                }),
            },
            commands: cells.commands,
            head: head.map(|(command_id, action_type)| LaneHead {
                command_id: CommandId(command_id),
                action_type,
            }),
            seconds: cells.seconds,
        }
    }
}
