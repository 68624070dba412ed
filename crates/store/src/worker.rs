//! The heartbeats of workers. Times are compared here, on the database's clock, and nowhere else.

use std::time::Duration;

use orderly_protocol::ShardId;

use crate::store::bounded;
use crate::{Store, StoreError};

/// Rows of workers that died without a word are kept for this long, for whoever asks what happened.
const KEPT: Duration = Duration::from_hours(1);

/// A worker as its last heartbeat told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveWorker {
    /// Its name, unique to one process.
    pub worker: String,
    /// Shards that it will own at the most; none: any number.
    pub capacity: Option<i32>,
    /// Routing keys of the shards that it consumes.
    pub subscribed: Vec<String>,
}

impl Store {
    /// Tells that `me` is alive, and answers who else was within `limit`.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn heartbeat(
        &self,
        me: &LiveWorker,
        limit: Duration,
    ) -> Result<Vec<LiveWorker>, StoreError> {
        // The row that this statement writes is not among those that it reads.
        bounded(
            sqlx::query_as!(
                LiveWorker,
                "with me as (
                     insert into workers (worker, capacity, subscribed)
                     values ($1, $2, $3)
                     on conflict (worker) do update
                     set capacity = excluded.capacity, subscribed = excluded.subscribed,
                         seen_at = clock_timestamp())
                 select worker, capacity, subscribed
                 from workers
                 where worker <> $1
                   and seen_at > clock_timestamp() - make_interval(secs => $4)
                 order by worker",
                me.worker,
                me.capacity,
                &me.subscribed,
                limit.as_secs_f64(),
            )
            .fetch_all(self.pool()),
        )
        .await
    }

    /// Takes `worker` off the list, so that nobody waits for it, and with it those that died long ago.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        bounded(
            sqlx::query!(
                "delete from workers
                 where worker = $1 or seen_at < clock_timestamp() - make_interval(secs => $2)",
                worker,
                KEPT.as_secs_f64(),
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(())
    }

    /// The shards of a generation that somebody else than `me` claimed last, with their epochs.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn epochs_of_others(
        &self,
        generation: i32,
        me: &str,
    ) -> Result<Vec<(ShardId, i64)>, StoreError> {
        let rows = bounded(
            sqlx::query!(
                "select shard, epoch from shards where generation = $1 and owner <> $2",
                generation,
                me,
            )
            .fetch_all(self.pool()),
        )
        .await?;
        let epochs = rows.into_iter().map(|row| {
            let shard = ShardId {
                generation,
                shard: row.shard,
            };
            (shard, row.epoch)
        });
        Ok(epochs.collect())
    }
}
