//! Attempts at commands that were delivered again and again: the trace a dying process leaves behind.

use uuid::Uuid;

use crate::store::bounded;
use crate::{Store, StoreError};

/// An attempt at one command, open until it is ended. It stays open for good when its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    attempt_id: Uuid,
    /// How many earlier attempts at the same bytes are still open: each was ended by the death of its process.
    pub abandoned: i64,
}

impl Store {
    /// Opens an attempt, committed before the command runs, so that it outlives the process.
    ///
    /// `envelope_hash` is the SHA-256 of the envelope's bytes: known even when they cannot be decoded.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn begin_attempt(
        &self,
        envelope_hash: &[u8; 32],
        owner: &str,
    ) -> Result<Attempt, StoreError> {
        let attempt_id = Uuid::now_v7();
        let abandoned = bounded(
            sqlx::query_scalar!(
                r#"with opened as (
                   insert into attempts (attempt_id, envelope_hash, owner) values ($1, $2, $3))
               select count(*) as "abandoned!"
               from attempts where envelope_hash = $2 and ended_at is null"#,
                attempt_id,
                envelope_hash.as_slice(),
                owner,
            )
            .fetch_one(self.pool()),
        )
        .await?;
        Ok(Attempt {
            attempt_id,
            abandoned,
        })
    }

    /// Ends an attempt: the command was decided, or its error was classified, or the shard was handed over.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn end_attempt(&self, attempt: Attempt) -> Result<(), StoreError> {
        bounded(
            sqlx::query!(
                "update attempts set ended_at = clock_timestamp() where attempt_id = $1",
                attempt.attempt_id,
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(())
    }
}
