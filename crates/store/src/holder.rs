//! A stopped process must not hold others up by the locks of its transaction: whoever waits for it ends its session.
//!
//! Postgres ends an idle transaction by itself ([`crate::SessionProfile`]), but not one that is sending an answer which
//! nobody reads: no timeout of a statement or a transaction reaches it there.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::sleep;

use crate::StoreError;
use crate::store::bounded;

/// How often a waiting session looks who holds it up. A lock is free after milliseconds as a rule; a wait ends after
/// two looks, at its lock timeout.
const LOOK: Duration = Duration::from_millis(900);

/// Runs `waiting`, a call of the session `pid` that waits for locks. Each time it has waited for long, ends the sessions that
/// hold it up and have themselves done nothing but wait for their client for 2 s. One that works, or waits for a lock of its
/// own, is never ended.
pub(crate) async fn ending_stopped_holders<T>(
    pool: &PgPool,
    pid: i32,
    waiting: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::select! {
        biased;
        answer = waiting => answer,
        never = end_stopped_holders(pool, pid) => match never {},
    }
}

async fn end_stopped_holders(pool: &PgPool, pid: i32) -> Infallible {
    loop {
        sleep(LOOK).await;
        // Materialized: a condition that ends sessions must not be tried on any row that the others leave out.
        let ended = bounded(
            sqlx::query_scalar!(
                r#"with stopped as materialized (
                       select pid
                       from unnest(pg_blocking_pids($1)) as blocking (pid)
                       join pg_stat_activity as holder using (pid)
                       where holder.wait_event_type = 'Client'
                         and holder.state_change < clock_timestamp() - interval '2 s')
                   select pid as "pid!" from stopped where pg_terminate_backend(pid)"#,
                pid,
            )
            .fetch_all(pool),
        );
        match ended.await {
            Ok(pids) if pids.is_empty() => {}
            Ok(pids) => {
                tracing::warn!(?pids, "ended sessions of a stopped process that held locks");
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot look who holds a lock"
            ),
        }
    }
}
