//! The lane of one order, for a control command: read with its first commands, and written back.

use orderly_domain::{CommandId, OrderId, ProducerId};
use orderly_protocol::{Fingerprint, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use super::BatchTransaction;
use super::row::storable;
use crate::StoreError;
use crate::cell::Row;

/// An order's lane as the batch finds it.
#[derive(Clone, Debug)]
pub struct LoadedLane {
    /// What it is now.
    pub state: LaneState,
    /// How many commands wait in it.
    pub commands: i64,
    /// The last position.
    pub tail: i64,
    /// The first commands, oldest first.
    pub entries: Vec<LaneEntry>,
}

/// Why a lane is there, and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneState {
    /// A stable code: why its head could not be decided, or that it is paused or being released.
    pub reason: String,
    /// The same in words.
    pub detail: String,
    /// Since when.
    pub parked_at: Timestamp,
    /// The order's pause.
    pub pause: Option<Pause>,
    /// The release that has begun and not ended.
    pub releasing: Option<Releasing>,
}

/// An order that an operator paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The control command that paused it.
    pub pause_id: CommandId,
    /// The id of the key that gave it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// A release between two of its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Releasing {
    /// The control command that releases.
    pub by: CommandId,
    /// The last position that it discards.
    pub discard_through: i64,
    /// Commands decided so far.
    pub decided: i64,
    /// Commands discarded so far.
    pub discarded: i64,
}

/// A command in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneEntry {
    /// Its place.
    pub position: i64,
    /// Which.
    pub command_id: CommandId,
    /// Who sent it.
    pub producer: ProducerId,
    /// Its type, as the envelope says.
    pub action_type: String,
    /// Of its request.
    pub fingerprint: Fingerprint,
    /// The bytes as they came.
    pub envelope: Vec<u8>,
    /// When an ingress took it.
    pub accepted_at: Timestamp,
    /// When it came to the lane.
    pub parked_at: Timestamp,
}

/// What a control command leaves of a lane.
#[derive(Clone, Debug)]
pub struct LaneWrite {
    /// Whose.
    pub order_id: OrderId,
    /// Positions that are empty now.
    pub removed: Vec<i64>,
    /// The lane from now on; none: the order flows again.
    pub left: Option<LaneState>,
}

/// What a control command did, beside its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRecord {
    /// The control command.
    pub command_id: CommandId,
    /// Its order.
    pub order_id: OrderId,
    /// The id of the key that gave it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The command that it was about.
    pub head: Option<CommandId>,
    /// The command that it put in the place of that one.
    pub replacement: Option<CommandId>,
    /// Commands that it released and that were decided.
    pub decided: i64,
    /// Commands that it discarded.
    pub discarded: i64,
    /// Commands that it left in the lane.
    pub waiting: i64,
}

/// Unread columns of a [`LaneEntry`].
pub(crate) struct EntryCells {
    pub(crate) position: i64,
    pub(crate) command_id: Uuid,
    pub(crate) producer: Uuid,
    pub(crate) action_type: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) envelope: Vec<u8>,
    pub(crate) accepted_at: OffsetDateTime,
    pub(crate) parked_at: OffsetDateTime,
}

impl TryFrom<EntryCells> for LaneEntry {
    type Error = StoreError;

    fn try_from(cells: EntryCells) -> Result<Self, StoreError> {
        let row = Row::new("lane_entries", &cells.command_id);
        Ok(Self {
            position: cells.position,
            command_id: CommandId(cells.command_id),
            producer: ProducerId(cells.producer),
            fingerprint: row.fingerprint("fingerprint", &cells.fingerprint)?,
            action_type: cells.action_type,
            envelope: cells.envelope,
            accepted_at: cells.accepted_at,
            parked_at: cells.parked_at,
        })
    }
}

impl BatchTransaction {
    /// The order's lane with its first commands, at most `commands`, and no more than fit into `bytes`, but for the first.
    ///
    /// No lock: behind the fence nobody else touches a lane of this shard.
    ///
    /// # Errors
    /// Any fault of the database, and a row that cannot be read.
    pub async fn load_lane(
        &mut self,
        order_id: OrderId,
        commands: usize,
        bytes: usize,
    ) -> Result<Option<LoadedLane>, StoreError> {
        let found = self.sessions.bounded(
            sqlx::query!(
                r#"select reason, detail, parked_at, pause_id, paused_by, paused_reason, paused_at,
                       paused_until, releasing, discard_through, decided, discarded,
                       entries.commands as "commands!", entries.tail as "tail!"
                   from lanes
                   cross join lateral (
                       select count(*) as commands, coalesce(max(position), 0) as tail
                       from lane_entries where lane_entries.order_id = lanes.order_id
                   ) as entries
                   where lanes.order_id = $1"#,
                order_id.0,
            )
            .fetch_optional(&mut *self.session),
        );
        let Some(cells) = found.await? else {
            return Ok(None);
        };
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
        let state = LaneState {
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
        };
        Ok(Some(LoadedLane {
            state,
            commands: cells.commands,
            tail: cells.tail,
            entries: self.first_entries(order_id, commands, bytes).await?,
        }))
    }

    async fn first_entries(
        &mut self,
        order_id: OrderId,
        commands: usize,
        bytes: usize,
    ) -> Result<Vec<LaneEntry>, StoreError> {
        let limit = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
        // A running sum of sizes: what does not fit is not read.
        let rows = self.sessions.bounded(
            sqlx::query_as!(
                EntryCells,
                r#"select position, command_id, producer, type as action_type, fingerprint,
                       envelope, accepted_at, parked_at
                   from (
                       select *, sum(octet_length(envelope)) over (order by position) as until_here
                       from (
                           select position, command_id, producer, type, fingerprint, envelope,
                                  accepted_at, parked_at, row_number() over (order by position) as place
                           from lane_entries
                           where order_id = $1
                           order by position
                           limit $2
                       ) as first
                   ) as sized
                   where place = 1 or until_here <= $3
                   order by position"#,
                order_id.0,
                limit(commands),
                limit(bytes),
            )
            .fetch_all(&mut *self.session),
        );
        rows.await?.into_iter().map(LaneEntry::try_from).collect()
    }

    /// Before anything joins the lane: what takes a place finds it empty.
    pub(super) async fn write_lane(&mut self, write: &LaneWrite) -> Result<(), StoreError> {
        let order_id = write.order_id.0;
        if !write.removed.is_empty() {
            let removed = self.sessions.bounded(
                sqlx::query!(
                    "delete from lane_entries where order_id = $1 and position = any($2)",
                    order_id,
                    &write.removed,
                )
                .execute(&mut *self.session),
            );
            let removed = removed.await?.rows_affected();
            StoreError::expect_rows("lane_entries", write.removed.len(), removed)?;
        }
        let Some(left) = &write.left else {
            let ended = self.sessions.bounded(
                sqlx::query!("delete from lanes where order_id = $1", order_id)
                    .execute(&mut *self.session),
            );
            return StoreError::expect_rows("lanes", 1, ended.await?.rows_affected());
        };
        let LaneState {
            pause, releasing, ..
        } = left;
        let pause = pause.as_ref();
        let releasing = releasing.as_ref();
        let written = self.sessions.bounded(
            sqlx::query!(
                "insert into lanes (order_id, reason, detail, parked_at, pause_id, paused_by,
                                    paused_reason, paused_at, paused_until, releasing,
                                    discard_through, decided, discarded)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 on conflict on constraint lanes_pkey do update
                 set reason = excluded.reason, detail = excluded.detail,
                     parked_at = excluded.parked_at, pause_id = excluded.pause_id,
                     paused_by = excluded.paused_by, paused_reason = excluded.paused_reason,
                     paused_at = excluded.paused_at, paused_until = excluded.paused_until,
                     releasing = excluded.releasing, discard_through = excluded.discard_through,
                     decided = excluded.decided, discarded = excluded.discarded",
                order_id,
                left.reason,
                storable(&left.detail),
                left.parked_at,
                pause.map(|pause| pause.pause_id.0),
                pause.map(|pause| pause.by.as_str()),
                pause.map(|pause| pause.reason.as_str()),
                pause.map(|pause| pause.at),
                pause.and_then(|pause| pause.until),
                releasing.map(|releasing| releasing.by.0),
                releasing.map(|releasing| releasing.discard_through),
                releasing.map_or(0, |releasing| releasing.decided),
                releasing.map_or(0, |releasing| releasing.discarded),
            )
            .execute(&mut *self.session),
        );
        StoreError::expect_rows("lanes", 1, written.await?.rows_affected())
    }

    pub(super) async fn insert_control(
        &mut self,
        control: &ControlRecord,
    ) -> Result<(), StoreError> {
        let inserted = self.sessions.bounded(
            sqlx::query!(
                "insert into controls (command_id, order_id, given_by, reason, head, replacement,
                                       decided, discarded, waiting)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                control.command_id.0,
                control.order_id.0,
                control.by,
                control.reason,
                control.head.map(|head| head.0),
                control.replacement.map(|replacement| replacement.0),
                control.decided,
                control.discarded,
                control.waiting,
            )
            .execute(&mut *self.session),
        );
        StoreError::expect_rows("controls", 1, inserted.await?.rows_affected())
    }
}
