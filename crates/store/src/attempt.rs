//! Attempts at commands that were delivered again and again: the trace a dying process leaves behind.

use uuid::Uuid;

use crate::store::bounded;
use crate::{Store, StoreError};

/// An attempt at one command, open until it is ended. It stays open for good when its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt(Uuid);

impl Attempt {
    /// A new one. Its id is known before its row is written, so that it can be ended also when the answer to its
    /// beginning was lost.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each one is different")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Store {
    /// How many other processes left an attempt at these bytes open: each has died meanwhile, or is about to. `owner`
    /// itself is alive, whatever it could not end.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn deaths_during_attempts(
        &self,
        envelope_hash: &[u8; 32],
        owner: &str,
    ) -> Result<i64, StoreError> {
        bounded(
            sqlx::query_scalar!(
                r#"select count(distinct owner) as "deaths!" from attempts
                   where envelope_hash = $1 and ended_at is null and owner <> $2"#,
                envelope_hash.as_slice(),
                owner,
            )
            .fetch_one(self.pool()),
        )
        .await
    }

    /// Opens an attempt, committed before the command runs, so that it outlives the process.
    ///
    /// `envelope_hash` is the SHA-256 of the envelope's bytes: known even when they cannot be decoded.
    ///
    /// # Errors
    /// Any fault of the database. The attempt may be open all the same.
    pub async fn begin_attempt(
        &self,
        attempt: Attempt,
        envelope_hash: &[u8; 32],
        owner: &str,
    ) -> Result<(), StoreError> {
        bounded(
            sqlx::query!(
                "insert into attempts (attempt_id, envelope_hash, owner) values ($1, $2, $3)",
                attempt.0,
                envelope_hash.as_slice(),
                owner,
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(())
    }

    /// Ends an attempt: the command was decided, or its error was classified, or the shard was handed over. One that
    /// never began stays so.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn end_attempt(&self, attempt: Attempt) -> Result<(), StoreError> {
        bounded(
            sqlx::query!(
                "update attempts set ended_at = clock_timestamp() where attempt_id = $1",
                attempt.0,
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(())
    }
}
