//! Who may write for a shard: the epoch is read before a consumer subscribes, claimed with its first delivery, and
//! checked inside every batch transaction ([`crate::BatchTransaction`]).

use orderly_protocol::ShardId;

use crate::holder::ending_stopped_holders;
use crate::store::bounded;
use crate::{Store, StoreError};

/// The right to write for one shard, as long as nobody claims it after us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Which shard.
    pub shard: ShardId,
    /// Who holds it: unique to one worker process.
    pub owner: String,
    /// The claim's number.
    pub epoch: i64,
}

impl Store {
    /// The shard's epoch now, or none when the shard is not there or is drained.
    ///
    /// Read it before subscribing: a claim then fails if anybody else claimed between the subscription and its first
    /// delivery, which AMQP would not tell.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn epoch(&self, shard: ShardId) -> Result<Option<i64>, StoreError> {
        let epoch = bounded(sqlx::query_scalar!(
            "select epoch from shards where generation = $1 and shard = $2 and drained_at is null",
            shard.generation,
            shard.shard,
        )
        .fetch_optional(self.pool()))
        .await?;
        Ok(epoch)
    }

    /// Whether the shard is drained: its generation has ended, and it met both markers.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn is_drained(&self, shard: ShardId) -> Result<bool, StoreError> {
        let drained = sqlx::query_scalar!(
            r#"select exists (
                   select from shards
                   where generation = $1 and shard = $2 and drained_at is not null) as "drained!""#,
            shard.generation,
            shard.shard,
        );
        bounded(drained.fetch_one(self.pool())).await
    }

    /// Takes the shard, if its epoch is still `seen` and every earlier generation is drained.
    ///
    /// The update waits for the share lock of a batch in flight, so whatever an earlier owner commits is committed
    /// before this returns; a stopped owner loses its session. A transaction of its own: nothing may ride on a claim that could roll back.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn claim(
        &self,
        shard: ShardId,
        owner: &str,
        seen: i64,
    ) -> Result<Option<Fence>, StoreError> {
        let mut session = bounded(self.pool().acquire()).await?;
        let pid = sqlx::query_scalar!(r#"select pg_backend_pid() as "pid!""#);
        let pid = bounded(pid.fetch_one(&mut *session)).await?;
        let claiming = bounded(
            sqlx::query_scalar!(
                "update shards
             set epoch = epoch + 1, owner = $4, claimed_at = clock_timestamp()
             where generation = $1 and shard = $2 and epoch = $3 and drained_at is null
               and not exists (
                   select from shards as earlier
                   join generations using (generation)
                   where earlier.generation < $1 and earlier.drained_at is null
                     and generations.state in ('current', 'draining'))
               and exists (
                   select from generations
                   where generation = $1 and state in ('current', 'draining'))
             returning epoch",
                shard.generation,
                shard.shard,
                seen,
                owner,
            )
            .fetch_optional(&mut *session),
        );
        let epoch = ending_stopped_holders(self.pool(), pid, claiming).await?;
        Ok(epoch.map(|epoch| Fence {
            shard,
            owner: owner.to_owned(),
            epoch,
        }))
    }
}
