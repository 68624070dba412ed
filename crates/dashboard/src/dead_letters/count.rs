//! The gauge `orderly_dead_letters`.

use std::time::Duration;

use orderly_store::Store;
use tokio_util::sync::CancellationToken;

/// An alert waits for minutes; the count takes well under a millisecond.
const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps the gauge of open dead letters until `token` is cancelled. While the database is away it stays as it was.
pub async fn count_dead_letters(store: Store, token: CancellationToken) {
    let gauge = metrics::gauge!("orderly_dead_letters");
    let counting = async {
        loop {
            match store.dead_letters().await {
                #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
                Ok(open) => gauge.set(open as f64),
                Err(error) => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "dead letters not counted"
                ),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    token.run_until_cancelled(counting).await;
}
