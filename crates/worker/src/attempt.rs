//! The poison detector: a command that was delivered again and again runs alone, and its attempts outlive the process.
//!
//! The broker's delivery count rises for every message that was prefetched, so it cannot name the culprit: an attempt
//! row that stays open can.

use orderly_store::{Attempt, Store, StoreError};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::intake::{Batch, Undecidable, Work};

/// At the fifth attempt that a dead process left open the command is parked: one death may be a coincidence, and each
/// further one costs every other order of the shard a hand-over.
const MOST_ABANDONED: i64 = 5;

/// Attempts that could not be ended because the database was away: ended before the next one begins, so that an outage is
/// never taken for the death of a process.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    unended: Mutex<Vec<Attempt>>,
}

impl Attempts {
    /// Opens an attempt at the suspect, and gives the suspect up when too many died of it.
    pub(crate) async fn begin(
        &self,
        store: &Store,
        owner: &str,
        suspect: &mut Batch,
    ) -> Result<Attempt, StoreError> {
        self.end_leftovers(store).await?;
        let hash: [u8; 32] = Sha256::digest(suspect_bytes(suspect)).into();
        let attempt = store.begin_attempt(&hash, owner).await?;
        if attempt.abandoned >= MOST_ABANDONED {
            suspect.give_up(Undecidable {
                code: "attempts_exhausted",
                detail: format!("{} processes died while they applied it", attempt.abandoned),
            });
        }
        Ok(attempt)
    }

    /// Ends an attempt, now or as soon as the database is back.
    pub(crate) async fn end(&self, store: &Store, attempt: Attempt) {
        if store.end_attempt(attempt).await.is_err() {
            self.unended.lock().await.push(attempt);
        }
    }

    async fn end_leftovers(&self, store: &Store) -> Result<(), StoreError> {
        let mut unended = self.unended.lock().await;
        while let Some(attempt) = unended.last() {
            store.end_attempt(*attempt).await?;
            unended.pop();
        }
        Ok(())
    }
}

fn suspect_bytes(batch: &Batch) -> &[u8] {
    match batch.work.first() {
        Some(Work::Command(item)) => &item.bytes,
        Some(Work::Foreign { bytes, .. } | Work::Unreadable { bytes, .. }) => bytes,
        None => &[],
    }
}
