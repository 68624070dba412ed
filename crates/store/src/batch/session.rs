//! Sessions for batches, kept from one to the next.
//!
//! The pool tests a session each time it is given back, which costs a batch a round trip, and begins a transaction in a
//! round trip of its own. These come out of the pool once. Only one whose transaction was committed is kept: any other is
//! closed, and Postgres takes back what it wrote and locked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::StoreError;
use crate::store::{ACQUIRE_TIMEOUT, CALL_TIMEOUT, bounded};

/// A session that was idle for longer is not used again: firewalls and proxies forget a quiet connection without a word, some
/// after five minutes, and a batch would find out by its timeout.
const LONGEST_IDLE: Duration = Duration::from_mins(4);

/// Longer than a worker's statement may take, so that the server's own limit, which says more, fires first; and a worker
/// whose way to the database fell silent is at work again well within 15 s.
const BATCH_CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// The sessions of one store.
#[derive(Debug)]
pub(crate) struct BatchSessions {
    /// Each with the time it was given back, the last one last.
    idle: Mutex<Vec<(PgConnection, Instant)>>,
    /// As many sessions as the pool may have connections.
    permits: Arc<Semaphore>,
}

/// A session in use.
#[derive(Debug)]
pub(crate) struct BatchSession {
    connection: PgConnection,
    permit: OwnedSemaphorePermit,
}

impl BatchSessions {
    pub(crate) fn at_most(sessions: u32) -> Self {
        let sessions = usize::try_from(sessions).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(sessions.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// A session without a transaction.
    pub(crate) async fn take(&self, pool: &PgPool) -> Result<BatchSession, StoreError> {
        let permit = timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| StoreError::TimedOut {
                after: ACQUIRE_TIMEOUT,
            })?
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let kept = self.idle().pop();
        let connection = match kept {
            Some((connection, since)) if since.elapsed() < LONGEST_IDLE => connection,
            _ => {
                // Those below it were given back earlier still.
                self.forget();
                bounded(pool.acquire()).await?.detach()
            }
        };
        Ok(BatchSession { connection, permit })
    }

    /// Bounds one call of a session. After one without an answer, those that are kept are not trusted either.
    pub(crate) async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let answer = timeout(BATCH_CALL_TIMEOUT, call).await;
        let answer = answer.map_err(|_| {
            self.forget();
            StoreError::TimedOut {
                after: BATCH_CALL_TIMEOUT,
            }
        })?;
        Ok(answer?)
    }

    /// Keeps a session whose transaction was committed.
    pub(crate) fn keep(&self, session: BatchSession) {
        let BatchSession { connection, permit } = session;
        if !self.permits.is_closed() {
            self.idle().push((connection, Instant::now()));
        }
        drop(permit);
    }

    /// Ends the sessions that are kept: after one was found dead, the others are dead as well.
    pub(crate) fn forget(&self) {
        self.idle().clear();
    }

    /// Ends the sessions that are kept, as a client should; those in use end when they come back.
    pub(crate) async fn close(&self) {
        self.permits.close();
        let kept = std::mem::take(&mut *self.idle());
        for (connection, _) in kept {
            // It ends either way: without the goodbye the server only notes that it missed one.
            drop(timeout(CALL_TIMEOUT, connection.close()).await);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::ops::Deref for BatchSession {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl std::ops::DerefMut for BatchSession {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
