//! The poison detector: a command that was delivered again and again runs alone, and its attempts outlive the process.
//!
//! The broker's delivery count rises for every message that was prefetched, so it cannot name the culprit: an attempt
//! row that stays open can.

use orderly_store::{Attempt, Store, StoreError};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::intake::{Batch, Work};
use crate::item::Undecidable;

/// At the fifth process that died during an attempt the command is parked: one death may be a coincidence, and each
/// further one costs every other order of the shard a hand-over.
const MOST_DEATHS: i64 = 5;

/// The attempts of one worker, over all its shards and sessions.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// Suspects that no process died of yet run beside each other, the others one at a time: what is open when the
    /// process dies must be the culprit's attempt, not those of innocents that happened to run on other shards.
    turns: RwLock<()>,
    /// Attempts whose end, or whose beginning, Postgres did not confirm: ended before the next one begins, so that an
    /// outage is never taken for the death of a process. At most one a shard, since nothing begins until they are ended.
    unended: Mutex<Vec<Attempt>>,
}

/// An attempt under way.
#[derive(Debug)]
pub(crate) struct Underway<'a> {
    attempt: Attempt,
    _turn: Turn<'a>,
}

#[derive(Debug)]
enum Turn<'a> {
    Beside(#[allow(dead_code, reason = "held, not read")] RwLockReadGuard<'a, ()>),
    Alone(#[allow(dead_code, reason = "held, not read")] RwLockWriteGuard<'a, ()>),
}

impl Attempts {
    /// Opens an attempt at the suspect, and gives the suspect up when too many processes died of it.
    pub(crate) async fn begin(
        &self,
        store: &Store,
        owner: &str,
        suspect: &mut Batch,
    ) -> Result<Underway<'_>, StoreError> {
        self.end_leftovers(store).await?;
        let hash: [u8; 32] = Sha256::digest(suspect_bytes(suspect)).into();
        let deaths = store.deaths_during_attempts(&hash, owner).await?;
        let turn = if deaths == 0 {
            Turn::Beside(self.turns.read().await)
        } else {
            Turn::Alone(self.turns.write().await)
        };
        let attempt = Attempt::new();
        if let Err(error) = store.begin_attempt(attempt, &hash, owner).await {
            self.unended.lock().await.push(attempt);
            return Err(error);
        }
        if deaths >= MOST_DEATHS {
            suspect.give_up(Undecidable {
                code: "attempts_exhausted",
                detail: format!("{deaths} processes died while they applied it"),
            });
        }
        Ok(Underway {
            attempt,
            _turn: turn,
        })
    }

    /// Ends an attempt, now or as soon as the database is back.
    pub(crate) async fn end(&self, store: &Store, underway: Underway<'_>) {
        if store.end_attempt(underway.attempt).await.is_err() {
            self.unended.lock().await.push(underway.attempt);
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
        Some(Work::Control(control)) => &control.item.bytes,
        Some(Work::Foreign { bytes, .. } | Work::Unreadable { bytes, .. }) => bytes,
        Some(Work::Marker(_)) | None => &[],
    }
}
