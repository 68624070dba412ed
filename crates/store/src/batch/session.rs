//! Sessions for batches, kept from one to the next.
//!
//! The pool tests a session each time it is given back, which costs a batch a round trip, and begins a transaction in a
//! round trip of its own. These come out of the pool once. Only one whose transaction was committed is kept: any other is
//! closed, and Postgres takes back what it wrote and locked.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::StoreError;
use crate::store::{ACQUIRE_TIMEOUT, CALL_TIMEOUT, bounded};

/// The sessions of one store.
#[derive(Debug)]
pub(crate) struct BatchSessions {
    idle: Mutex<Vec<PgConnection>>,
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
            Some(connection) => connection,
            None => bounded(pool.acquire()).await?.detach(),
        };
        Ok(BatchSession { connection, permit })
    }

    /// Keeps a session whose transaction was committed.
    pub(crate) fn keep(&self, session: BatchSession) {
        let BatchSession { connection, permit } = session;
        if !self.permits.is_closed() {
            self.idle().push(connection);
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
        for connection in kept {
            // It ends either way: without the goodbye the server only notes that it missed one.
            drop(timeout(CALL_TIMEOUT, connection.close()).await);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
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
