//! Pauses: shards that nobody consumes because somebody said so. Their commands wait in their queues.

use std::time::Duration;

use orderly_protocol::{ShardId, Timestamp};
use serde_json::json;

use crate::audit::append;
use crate::store::bounded;
use crate::{Actor, AuditEntry, Store, StoreError};

/// A pause that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPause {
    /// The shard; none: all of them.
    pub shard: Option<ShardId>,
    /// The API key that did it.
    pub paused_by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub paused_at: Timestamp,
    /// Until when, if it ends by itself.
    pub expires_at: Option<Timestamp>,
}

struct Cells {
    generation: Option<i32>,
    shard: Option<i32>,
    paused_by: String,
    reason: String,
    paused_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl From<Cells> for ShardPause {
    fn from(cells: Cells) -> Self {
        let shard = cells.generation.zip(cells.shard);
        Self {
            shard: shard.map(|(generation, shard)| ShardId { generation, shard }),
            paused_by: cells.paused_by,
            reason: cells.reason,
            paused_at: cells.paused_at,
            expires_at: cells.expires_at,
        }
    }
}

impl Store {
    /// Pauses a shard, or all; a pause that is there already is replaced. None: a resize is past its point of no return, and must
    /// drain every shard first.
    ///
    /// # Errors
    /// Any fault of the database, and a shard that is not there.
    pub async fn pause(
        &self,
        shard: Option<ShardId>,
        actor: &Actor,
        expires_in: Option<Duration>,
    ) -> Result<Option<ShardPause>, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            // The lock of whoever asks for a resize, or begins to unbind: one of the two sees the other.
            sqlx::query!("select generation from generations where state = 'current' for update")
                .fetch_optional(&mut *tx)
                .await?;
            let cells = sqlx::query_as!(
                Cells,
                "insert into pauses (generation, shard, paused_by, reason, expires_at)
                 select $1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5)
                 where not exists (
                     select from resizes
                     where step in ('unbinding', 'flipped', 'marking', 'draining'))
                 on conflict on constraint pauses_once do update
                 set paused_by = excluded.paused_by, reason = excluded.reason,
                     paused_at = clock_timestamp(), expires_at = excluded.expires_at
                 returning generation, shard, paused_by, reason, paused_at, expires_at",
                shard.map(|shard| shard.generation),
                shard.map(|shard| shard.shard),
                actor.label(),
                actor.reason.as_deref().unwrap_or_default(),
                expires_in.map(|limit| limit.as_secs_f64()),
            )
            .fetch_optional(&mut *tx)
            .await?;
            if cells.is_some() {
                let seconds = expires_in.map(|limit| limit.as_secs());
                let entry = AuditEntry::new(actor, "shard.pause", target(shard))
                    .after(json!({"paused": true, "expires_in_seconds": seconds}));
                append(&mut tx, &entry).await?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>(cells.map(ShardPause::from))
        })
        .await
    }

    /// Ends the pause of a shard, or the one of all shards. False: there was none.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn resume(&self, shard: Option<ShardId>, actor: &Actor) -> Result<bool, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            let held = sqlx::query_scalar!(
                r#"delete from pauses
                   where generation is not distinct from $1 and shard is not distinct from $2
                   returning (expires_at is null or expires_at > clock_timestamp()) as "held!""#,
                shard.map(|shard| shard.generation),
                shard.map(|shard| shard.shard),
            )
            .fetch_optional(&mut *tx)
            .await?;
            let held = held == Some(true);
            if held {
                let entry = AuditEntry::new(actor, "shard.resume", target(shard))
                    .before(json!({"paused": true}))
                    .after(json!({"paused": false}));
                append(&mut tx, &entry).await?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>(held)
        })
        .await
    }

    /// Every pause that holds.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn pauses(&self) -> Result<Vec<ShardPause>, StoreError> {
        let cells = bounded(
            sqlx::query_as!(
                Cells,
                "select generation, shard, paused_by, reason, paused_at, expires_at from pauses
                 where expires_at is null or expires_at > clock_timestamp()
                 order by generation nulls first, shard",
            )
            .fetch_all(self.pool()),
        )
        .await?;
        Ok(cells.into_iter().map(ShardPause::from).collect())
    }
}

/// As the audit names it.
fn target(shard: Option<ShardId>) -> String {
    shard.map_or_else(|| "shards".to_owned(), |shard| format!("shard/{shard}"))
}
