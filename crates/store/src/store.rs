//! The pool of connections and what every session on it promises: no statement, lock or open transaction without a limit.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::time::timeout;

use crate::StoreError;
use crate::batch::BatchSessions;

/// Waiting longer for a connection only moves the queue from Postgres into the process.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// No statement of a role runs for long; one that does is stuck, and its locks must go.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// A batch takes milliseconds, and its locks have a limit of their own.
const WORKER_STATEMENT_TIMEOUT: Duration = Duration::from_secs(6);

/// A connection of the pool that does not answer a ping within this is not used: the way to the database may have fallen silent,
/// and each of those that were open then would cost whoever asks for one all his patience.
const PING_LIMIT: Duration = Duration::from_millis(500);

/// Longer than a connection and one statement may take together, so that the server's own limits, which say more, fire
/// first. This one is for a server that does not answer at all: the driver itself would wait for ever.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A stock row is held for one batch, which takes milliseconds. Waiting longer means that its holder is stuck.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// A worker's transaction only idles while commands are decided, which takes milliseconds; a longer pause is a stopped
/// process that holds the locks of others. Below the 15 s in which a frozen worker must be replaced.
const WORKER_IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Other roles read page by page and work on each page in between.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_mins(1);

/// How long Postgres waits for a client that acknowledges no data: a host that vanished, or a stopped process whose
/// receive buffer is full. Until then its locks stay.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Which promises the sessions make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionProfile {
    /// Reads, and the small writes of people.
    General,
    /// The worker's batches: index plans whatever the statistics say, and no transaction left idle.
    Worker,
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Shows in `pg_stat_activity`.
    pub application_name: String,
    /// Upper bound of the pool, and once more of the worker's sessions for batches. Listeners, the relay's lock and migrations use connections of their own.
    pub max_connections: u32,
    /// Which promises the sessions make.
    pub profile: SessionProfile,
}

/// The database. Cheap to clone: all clones share one pool.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    batch_sessions: Arc<BatchSessions>,
}

impl Store {
    /// Connects: at least one connection is open when this returns, so that wrong settings show at once.
    ///
    /// # Errors
    /// An unreadable `url`, or a database that cannot be reached within 5 s.
    pub async fn connect(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let session = session_options(url.parse()?, options);
        let pool = pool_options(options).connect_with(session).await?;
        Ok(Self::new(pool, options))
    }

    /// As [`Store::connect`], but opens its first connection when it is needed: for a role that must start while the
    /// database is away.
    ///
    /// # Errors
    /// An unreadable `url`.
    pub fn connect_lazy(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let session = session_options(url.parse()?, options);
        let pool = pool_options(options).connect_lazy_with(session);
        Ok(Self::new(pool, options))
    }

    fn new(pool: PgPool, options: &StoreOptions) -> Self {
        let batch_sessions = Arc::new(BatchSessions::at_most(options.max_connections));
        Self {
            pool,
            batch_sessions,
        }
    }

    /// Closes all connections, after those in use have come back.
    pub async fn close(&self) {
        self.batch_sessions.close().await;
        self.pool.close().await;
    }

    pub(crate) fn batch_sessions(&self) -> &Arc<BatchSessions> {
        &self.batch_sessions
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The settings of the sessions, for a connection outside the pool.
    pub(crate) fn session(&self) -> Arc<PgConnectOptions> {
        self.pool.connect_options()
    }
}

/// Bounds one call, whatever the network does. Dropping it midway is safe: the pool gives the connection up or drains it.
pub(crate) async fn bounded<T, E>(call: impl Future<Output = Result<T, E>>) -> Result<T, StoreError>
where
    StoreError: From<E>,
{
    match timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError::TimedOut {
            after: CALL_TIMEOUT,
        }),
    }
}

fn pool_options(options: &StoreOptions) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // The pool's own test of a connection has no limit.
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                let ping = timeout(PING_LIMIT, connection.ping()).await;
                Ok(ping.is_ok_and(|answer| answer.is_ok()))
            })
        })
}

fn session_options(connect: PgConnectOptions, options: &StoreOptions) -> PgConnectOptions {
    let (statement, idle_in_transaction) = match options.profile {
        SessionProfile::General => (STATEMENT_TIMEOUT, IDLE_IN_TRANSACTION_TIMEOUT),
        SessionProfile::Worker => (WORKER_STATEMENT_TIMEOUT, WORKER_IDLE_IN_TRANSACTION_TIMEOUT),
    };
    let connect = connect
        .application_name(&options.application_name)
        .options([
            ("statement_timeout", millis(statement)),
            ("lock_timeout", millis(LOCK_TIMEOUT)),
            (
                "idle_in_transaction_session_timeout",
                millis(idle_in_transaction),
            ),
            ("tcp_user_timeout", millis(TCP_USER_TIMEOUT)),
            // The fence and every lock rely on statements that see what was committed before they began.
            ("default_transaction_isolation", "read committed".to_owned()),
        ]);
    match options.profile {
        SessionProfile::General => connect,
        // `where id = any($1)`, planned while the tables are empty, is a sequential scan that stays in the plan cache
        // until the next autoanalyze: 3.6 times slower. Every table has the index that a batch needs.
        SessionProfile::Worker => connect.options([
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
            // With these there is one good plan whatever the values are; making it anew for each batch was a sixth of
            // the CPU of Postgres.
            ("plan_cache_mode", "force_generic_plan"),
        ]),
    }
}

fn millis(limit: Duration) -> String {
    limit.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(profile: SessionProfile) -> String {
        let options = StoreOptions {
            application_name: "test".to_owned(),
            max_connections: 1,
            profile,
        };
        let session = session_options(PgConnectOptions::new_without_pgpass(), &options);
        session.get_options().unwrap_or_default().to_owned()
    }

    #[test]
    fn every_session_gives_up_what_it_holds() {
        for profile in [SessionProfile::General, SessionProfile::Worker] {
            for limit in [
                "statement_timeout=",
                "lock_timeout=",
                "idle_in_transaction_session_timeout=",
                "tcp_user_timeout=",
            ] {
                assert!(settings(profile).contains(limit), "{profile:?}: {limit}");
            }
        }
    }

    #[test]
    fn only_the_worker_is_held_to_index_plans() {
        assert!(settings(SessionProfile::Worker).contains("enable_seqscan=off"));
        assert!(!settings(SessionProfile::General).contains("enable_seqscan"));
    }
}
