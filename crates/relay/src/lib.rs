//! Role relay: copies every event of the stream to the topic exchange, one event a message, in stream order.
//!
//! It stands between the shards and everybody's queues, so that no binding, full queue or missing majority can hold up
//! a shard. One relay is active at a time; its offset in Postgres moves only after the confirms, so every event is copied
//! at least once, and the first copy of each version comes in version order. It decides nothing about events.

mod copier;
mod session;

use orderly_broker::{Backoff, BrokerConfig};
use orderly_http::Check;
use orderly_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a relay works with.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Keeps the offset, and the lock of the active one.
    pub store: Store,
    /// Holds the stream and the exchange.
    pub broker: BrokerConfig,
}

/// Copies until `token` is cancelled. While another relay is active it waits as its standby, which is ready too.
/// Whatever fails, it begins anew from the saved offset.
pub async fn run(options: RelayOptions, ready: Check, token: CancellationToken) {
    let tasks = TaskTracker::new();
    let mut backoff = Backoff::default();
    while let Some(error) = session::run(&options, &ready, &mut backoff, &tasks, &token)
        .await
        .err()
    {
        ready.not_ready("broker or database away");
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "relay begins anew"
        );
        let pause = tokio::time::sleep(backoff.next_pause());
        if token.run_until_cancelled(pause).await.is_none() {
            break;
        }
    }
    // The lock is given back by a task; a standby takes over at once when that has been done.
    tasks.close();
    tasks.wait().await;
}
