//! The worker's transaction: fence, dedupe, load, lock, write, commit. It decides nothing.
//!
//! Lock order, the same everywhere: shard row, stock rows by SKU, outcomes by command id. Nothing else is shared between
//! shards, so two batches can only wait for each other in one direction.

mod read;
mod row;
mod write;

use sqlx::{PgPool, Postgres, Transaction};

pub use read::{Known, LoadedOrder};
pub use row::{
    Conflict, DeadLetter, NewEvent, NewOutcome, OrderWrite, Parked, ParkedReason, StockWriteRow,
    Writes,
};

use crate::store::bounded;
use crate::{Fence, Store, StoreError};
use orderly_protocol::Timestamp;

/// One batch's transaction, begun behind its fence. Dropping it rolls everything back.
#[derive(Debug)]
pub struct BatchTransaction {
    transaction: Transaction<'static, Postgres>,
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
        let mut transaction = bounded(self.pool().begin()).await?;
        let held = bounded(
            sqlx::query!(
                r#"select clock_timestamp() as "at!", pg_backend_pid() as "pid!" from shards
               where generation = $1 and shard = $2 and owner = $3 and epoch = $4
                 and drained_at is null
               for share"#,
                fence.shard.generation,
                fence.shard.shard,
                fence.owner,
                fence.epoch,
            )
            .fetch_optional(&mut *transaction),
        )
        .await?;
        Ok(held.map(|held| BatchTransaction {
            transaction,
            pool: self.pool().clone(),
            pid: held.pid,
            at: held.at,
        }))
    }
}

impl BatchTransaction {
    /// Commits. An error leaves it unknown whether the batch was committed; running it again is safe, since dedupe
    /// finds what was.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn commit(self) -> Result<(), StoreError> {
        bounded(self.transaction.commit()).await
    }
}
