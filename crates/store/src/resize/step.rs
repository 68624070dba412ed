//! From one step to the next: each by a conditional update, so that of all who try one succeeds, and once.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Resize, ResizeStep, is_anything_paused};
use crate::store::bounded;
use crate::{Store, StoreError};

impl Store {
    /// Takes the next step, if nobody took it before: `declaring` from `requested`, `settling` from `declaring`, `marking` from
    /// `flipped`, `draining` from `marking` when every old shard is marked. False: the row has moved on, or may not yet.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn advance_resize(
        &self,
        resize: &Resize,
        to: ResizeStep,
        coordinator: &str,
    ) -> Result<bool, StoreError> {
        let moved = bounded(
            sqlx::query!(
                "update resizes
                 set step = $3, coordinator = $4,
                     declared_at = case when $3 = 'settling' then clock_timestamp()
                                        else declared_at end
                 where resize_id = $1 and step = $2
                   and ($3 <> 'draining' or not exists (
                       select from shards
                       where generation = from_generation and marked_at is null))",
                resize.id,
                resize.step.as_str(),
                to.as_str(),
                coordinator,
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// The point of no return: from `settling` to `unbinding`, once the new queues are as old as `settle`. False: not yet, or
    /// somebody aborted it, or paused a shard since, which cannot be drained.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn begin_unbinding(
        &self,
        resize: &Resize,
        settle: Duration,
        coordinator: &str,
    ) -> Result<bool, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            // The lock of whoever pauses: one of the two sees the other.
            sqlx::query!("select generation from generations where state = 'current' for update")
                .fetch_optional(&mut *tx)
                .await?;
            if is_anything_paused(&mut tx).await? {
                return Ok(false);
            }
            let moved = sqlx::query!(
                "update resizes
                 set step = 'unbinding', coordinator = $2, unbound_at = clock_timestamp()
                 where resize_id = $1 and step = 'settling'
                   and declared_at <= clock_timestamp() - make_interval(secs => $3)",
                resize.id,
                coordinator,
                settle.as_secs_f64(),
            )
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok::<_, StoreError>(moved.rows_affected() == 1)
        })
        .await
    }

    /// Makes the new generation the current one: from `unbinding` to `flipped`. False: somebody did.
    ///
    /// # Errors
    /// Any fault of the database, and generations that are not in the states that the step says.
    pub async fn flip_generation(
        &self,
        resize: &Resize,
        coordinator: &str,
    ) -> Result<bool, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            let moved = sqlx::query!(
                "update resizes
                 set step = 'flipped', coordinator = $2, flipped_at = clock_timestamp()
                 where resize_id = $1 and step = 'unbinding'",
                resize.id,
                coordinator,
            )
            .execute(&mut *tx)
            .await?;
            if moved.rows_affected() == 0 {
                return Ok(false);
            }
            // The one before the other: at most one is current at any time.
            change_state(&mut tx, resize.from_generation, "current", "draining").await?;
            change_state(&mut tx, resize.to_generation, "prepared", "current").await?;
            tx.commit().await?;
            Ok::<_, StoreError>(true)
        })
        .await
    }

    /// Ends it, when every shard of the old generation is drained. False: not yet, or somebody did.
    ///
    /// # Errors
    /// Any fault of the database, and a generation that is not in the state that the step says.
    pub async fn finish_resize(
        &self,
        resize: &Resize,
        coordinator: &str,
    ) -> Result<bool, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            let moved = sqlx::query!(
                "update resizes
                 set step = 'done', coordinator = $2, finished_at = clock_timestamp()
                 where resize_id = $1 and step = 'draining'
                   and not exists (
                       select from shards
                       where generation = from_generation and drained_at is null)",
                resize.id,
                coordinator,
            )
            .execute(&mut *tx)
            .await?;
            if moved.rows_affected() == 0 {
                return Ok(false);
            }
            change_state(&mut tx, resize.from_generation, "draining", "drained").await?;
            tx.commit().await?;
            Ok::<_, StoreError>(true)
        })
        .await
    }
}

/// A generation that is in another state than the step says is a fault.
pub(super) async fn change_state(
    tx: &mut PgConnection,
    generation: i32,
    from: &str,
    to: &str,
) -> Result<(), StoreError> {
    let changed = sqlx::query!(
        "update generations set state = $3 where generation = $1 and state = $2",
        generation,
        from,
        to,
    )
    .execute(tx)
    .await?
    .rows_affected();
    StoreError::expect_rows("generations", 1, changed)
}
