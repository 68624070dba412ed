//! What the relay keeps: how far it copied the stream, and the lock that lets one process at a time copy.

use std::time::Duration;

use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Store, StoreError};

/// How often the session that holds the lock is tested: a relay that lost it stops within this and [`TEST_TIMEOUT`].
const TEST_INTERVAL: Duration = Duration::from_secs(1);

/// Together with the interval well below the 10 s after which Postgres gives up a silent client, and with it the lock.
const TEST_TIMEOUT: Duration = Duration::from_secs(3);

/// To open the session of the lock.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The right to relay, held by a session of its own until this is dropped or the session ends.
#[derive(Debug)]
pub struct RelayLock {
    lost: CancellationToken,
    _release: DropGuard,
}

impl RelayLock {
    /// Cancelled when the lock is lost: another process may hold it from then on.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }
}

impl Store {
    /// The offset of the last stream message whose events were all confirmed, if any was.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn relay_offset(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let offset = bounded(
            sqlx::query_scalar!(
                "select stream_offset from relay_offsets where name = $1",
                name
            )
            .fetch_optional(self.pool()),
        )
        .await?;
        let read = |cell| {
            u64::try_from(cell)
                .map_err(|_| Row::new("relay_offsets", &name).bad("stream_offset", "an offset"))
        };
        offset.map(read).transpose()
    }

    /// Moves the offset forward. False, and no change, when it is already there or further: a relay that lost its lock
    /// takes nothing back.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn save_relay_offset(&self, name: &str, offset: u64) -> Result<bool, StoreError> {
        let saved = bounded(
            sqlx::query!(
                "insert into relay_offsets (name, stream_offset, updated_at)
                 values ($1, $2, clock_timestamp())
                 on conflict (name) do update
                 set stream_offset = excluded.stream_offset, updated_at = excluded.updated_at
                 where relay_offsets.stream_offset < excluded.stream_offset",
                name,
                i64::try_from(offset).unwrap_or(i64::MAX),
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(saved.rows_affected() == 1)
    }

    /// Forgets the offset: what it counted is gone from the stream, and its offsets are used anew.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn forget_relay_offset(&self, name: &str) -> Result<(), StoreError> {
        bounded(
            sqlx::query!("delete from relay_offsets where name = $1", name).execute(self.pool()),
        )
        .await?;
        Ok(())
    }

    /// The lock of the relay `name`, if no other session holds it. Dropping it gives it back, by a task on `tracker`.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn try_relay_lock(
        &self,
        name: &str,
        tracker: &TaskTracker,
    ) -> Result<Option<RelayLock>, StoreError> {
        let mut session = timeout(CONNECT_TIMEOUT, self.session().connect())
            .await
            .map_err(|_| StoreError::TimedOut {
                after: CONNECT_TIMEOUT,
            })??;
        let locked = bounded(
            sqlx::query_scalar!(
                r#"select pg_try_advisory_lock(hashtextextended('orderly.relay.' || $1::text, 0)) as "locked!""#,
                name,
            )
            .fetch_one(&mut session),
        )
        .await?;
        if !locked {
            bounded(session.close()).await?;
            return Ok(None);
        }
        let lost = CancellationToken::new();
        let released = CancellationToken::new();
        let lock = RelayLock {
            lost: lost.clone(),
            _release: released.clone().drop_guard(),
        };
        tracker.spawn(hold(session, lost, released));
        Ok(Some(lock))
    }
}

/// Keeps the session that holds the lock, until it is released or turns out to be gone.
async fn hold(mut session: PgConnection, lost: CancellationToken, released: CancellationToken) {
    let ended = tokio::select! {
        () = released.cancelled() => None,
        fault = test_until_gone(&mut session) => Some(fault),
    };
    lost.cancel();
    if let Some(fault) = ended {
        tracing::warn!(
            error = &fault as &dyn std::error::Error,
            "lock of the relay lost"
        );
        return;
    }
    // Closing ends the lock at once; if that fails, Postgres ends it when it misses the client.
    if let Err(fault) = bounded(session.close()).await {
        tracing::warn!(
            error = &fault as &dyn std::error::Error,
            "lock of the relay not given back"
        );
    }
}

async fn test_until_gone(session: &mut PgConnection) -> StoreError {
    loop {
        sleep(TEST_INTERVAL).await;
        match timeout(TEST_TIMEOUT, session.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => return fault.into(),
            Err(_) => {
                return StoreError::TimedOut {
                    after: TEST_TIMEOUT,
                };
            }
        }
    }
}
