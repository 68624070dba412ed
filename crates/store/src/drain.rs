//! Drains: workers that are to be stopped, and whose shards go to others before.

use orderly_protocol::Timestamp;
use serde_json::json;

use crate::audit::append;
use crate::store::bounded;
use crate::worker::LIVE;
use crate::{Actor, AuditEntry, Store, StoreError};

/// Who drains a worker, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerDrain {
    /// The API key that did it.
    pub drained_by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub drained_at: Timestamp,
}

/// Why a worker is not drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainRefusal {
    /// No worker of this name was heard of within the last 5 s.
    NotAlive,
    /// Nobody else is alive who is not drained himself.
    LastWorker,
}

impl Store {
    /// Drains a worker; a drain that is there already is replaced.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn drain(
        &self,
        worker: &str,
        actor: &Actor,
    ) -> Result<Result<WorkerDrain, DrainRefusal>, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            // Of two who drain the last two workers, one sees the other.
            sqlx::query!("lock table drains in share row exclusive mode")
                .execute(&mut *tx)
                .await?;
            let alive = sqlx::query!(
                r#"select worker, exists (select from drains
                                          where drains.worker = workers.worker) as "draining!"
                   from workers
                   where seen_at > clock_timestamp() - make_interval(secs => $1)"#,
                LIVE.as_secs_f64(),
            )
            .fetch_all(&mut *tx)
            .await?;
            let Some(before) = alive.iter().find(|row| row.worker == worker) else {
                return Ok(Err(DrainRefusal::NotAlive));
            };
            if !alive
                .iter()
                .any(|row| row.worker != worker && !row.draining)
            {
                return Ok(Err(DrainRefusal::LastWorker));
            }
            let drain = sqlx::query_as!(
                WorkerDrain,
                "insert into drains (worker, drained_by, reason) values ($1, $2, $3)
                 on conflict (worker) do update
                 set drained_by = excluded.drained_by, reason = excluded.reason,
                     drained_at = clock_timestamp()
                 returning drained_by, reason, drained_at",
                worker,
                actor.label(),
                actor.reason.as_deref().unwrap_or_default(),
            )
            .fetch_one(&mut *tx)
            .await?;
            let entry = AuditEntry::new(actor, "worker.drain", target(worker))
                .before(json!({"draining": before.draining}))
                .after(json!({"draining": true}));
            append(&mut tx, &entry).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(Ok(drain))
        })
        .await
    }

    /// Lets a worker have its share again. False: it was not drained, or is not known.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn resume_worker(&self, worker: &str, actor: &Actor) -> Result<bool, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            let ended = sqlx::query!("delete from drains where worker = $1", worker)
                .execute(&mut *tx)
                .await?;
            let was_draining = ended.rows_affected() > 0;
            if was_draining {
                let entry = AuditEntry::new(actor, "worker.resume", target(worker))
                    .before(json!({"draining": true}))
                    .after(json!({"draining": false}));
                append(&mut tx, &entry).await?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>(was_draining)
        })
        .await
    }
}

/// As the audit names it.
fn target(worker: &str) -> String {
    format!("worker/{worker}")
}
