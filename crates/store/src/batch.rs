//! The worker's transaction: fence, dedupe, load, lock, write, commit. It decides nothing.
//!
//! Four round trips whatever the size of the batch, and one more when it touches stock: begin with the fence, dedupe with
//! load, write, commit.
//!
//! Lock order, the same everywhere: shard row, stock rows by SKU, outcomes by command id. Nothing else is shared between
//! shards, so two batches can only wait for each other in one direction.

mod lane;
mod read;
mod row;
mod session;
mod write;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgPool, Row};

pub(crate) use lane::EntryCells;
pub use lane::{ControlRecord, LaneEntry, LaneState, LaneWrite, LoadedLane, Pause, Releasing};
pub use read::{Found, Known, LoadedOrder};
pub use row::{
    Conflict, DeadLetter, NewEvent, NewOutcome, OrderWrite, Parked, ParkedReason, StockWriteRow,
    Writes,
};
pub(crate) use session::BatchSessions;

use crate::cell::Row as Cell;
use crate::{Fence, Store, StoreError};
use orderly_protocol::{ShardId, Timestamp};
use session::BatchSession;

/// One batch's transaction, begun behind its fence. Dropping it closes its session: everything it wrote is taken back.
#[derive(Debug)]
pub struct BatchTransaction {
    session: BatchSession,
    sessions: Arc<BatchSessions>,
    /// To look, and its session's number, when it waits for a lock.
    pool: PgPool,
    pid: i32,
    /// The database's clock at the fence: the time of every event and outcome of the batch.
    pub at: Timestamp,
}

impl Store {
    /// Begins a batch, if `fence` still holds.
    ///
    /// READ COMMITTED, and the fence is a statement of its own and the first: every later statement takes its snapshot
    /// after the shard's row is locked, and so sees all that an earlier owner committed. The lock holds off the next
    /// claim until this transaction ends. `None`: somebody claimed the shard, nothing may be written.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn begin_batch(&self, fence: &Fence) -> Result<Option<BatchTransaction>, StoreError> {
        let sessions = self.batch_sessions();
        let mut session = sessions.take(self.pool()).await?;
        // The simple protocol takes both statements at once, but no parameters, and answers in text. There a time without a
        // fraction looks different from all others, and the driver does not know it: hence microseconds.
        let statements = sqlx::raw_sql(AssertSqlSafe(format!(
            "begin isolation level read committed;
             select (extract(epoch from clock_timestamp()) * 1000000)::bigint, pg_backend_pid()
             from shards
             where generation = {} and shard = {} and owner = {} and epoch = {}
               and drained_at is null
             for share",
            fence.shard.generation,
            fence.shard.shard,
            literal(&fence.owner),
            fence.epoch,
        )));
        let begun = sessions.bounded(statements.fetch_all(&mut *session)).await;
        let held = begun.inspect_err(|_| sessions.forget())?;
        let Some(held) = held.first() else {
            return Ok(None);
        };
        let micros: i64 = held.try_get(0)?;
        let at = Timestamp::from_unix_timestamp_nanos(i128::from(micros) * 1_000);
        let at = at.map_err(|_| Cell::new("shards", &fence.shard).bad("clock", "a time"))?;
        Ok(Some(BatchTransaction {
            at,
            pid: held.try_get(1)?,
            session,
            sessions: Arc::clone(sessions),
            pool: self.pool().clone(),
        }))
    }
}

impl BatchTransaction {
    /// Notes that the shard met marker 1: what was routed to it before its generation's queues were unbound is ahead of the next.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn mark(&mut self, shard: ShardId) -> Result<(), StoreError> {
        let marking = sqlx::query!(
            "update shards set marked_at = coalesce(marked_at, $3)
             where generation = $1 and shard = $2",
            shard.generation,
            shard.shard,
            self.at,
        );
        let marked = self
            .sessions
            .bounded(marking.execute(&mut *self.session))
            .await?;
        StoreError::expect_rows("shards", 1, marked.rows_affected())
    }

    /// Notes that the shard met marker 2: it is drained, and from this commit on nobody holds a fence for it.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn drain(&mut self, shard: ShardId) -> Result<(), StoreError> {
        let draining = sqlx::query!(
            "update shards set drained_at = $3
             where generation = $1 and shard = $2",
            shard.generation,
            shard.shard,
            self.at,
        );
        let drained = self
            .sessions
            .bounded(draining.execute(&mut *self.session))
            .await?;
        StoreError::expect_rows("shards", 1, drained.rows_affected())
    }

    /// Commits. An error leaves it unknown whether the batch was committed. Whoever runs it again must know that dedupe finds
    /// what was done, and that its events may never have gone out.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let commit = sqlx::raw_sql("commit").execute(&mut *self.session);
        self.sessions.bounded(commit).await?;
        self.sessions.keep(self.session);
        Ok(())
    }
}

/// A text as SQL, with the settings that every session has (`standard_conforming_strings`).
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_literal() {
        assert_eq!(
            literal(r"a'; drop table orders; --\"),
            r"'a''; drop table orders; --\'"
        );
    }
}
