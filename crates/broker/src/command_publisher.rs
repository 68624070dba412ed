//! Accepting commands: group commit by shard.

use std::sync::Arc;

use orderly_domain::OrderId;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::BrokerConfig;

/// Which generation takes new commands, and how many shards it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From 1, only ever rising.
    pub generation: i32,
    /// At least 1.
    pub shard_count: i32,
}

/// Where the publisher learns the current layout, and how it asks for a fresh look when the broker says that it is stale.
#[derive(Clone, Debug)]
pub struct GenerationSource {
    /// The layout as last read; `None` until it was read once.
    pub current: watch::Receiver<Option<Layout>>,
    /// Notified (`notify_one`) when a publish was returned: whoever feeds `current` reads again at once.
    pub reload: Arc<Notify>,
}

/// Why a command was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The shard's queue is full: certainly not stored; retry later.
    #[error("publish a command: the queue of its shard is full")]
    ShardFull,
    /// The broker is away, blocked or overloaded: certainly not stored; retry.
    #[error("publish a command: the broker is not available")]
    Unavailable,
    /// It may be stored. Sending it again is safe with the same command id, and only so.
    #[error("publish a command: whether it is stored is unknown")]
    Unknown,
    /// No generation takes its shard: certainly not stored; retry later.
    #[error("publish a command: no generation of shards takes it")]
    NoGeneration,
}

/// Publishes commands to the shards of the current generation.
#[derive(Clone)]
pub struct CommandPublisher {}

impl CommandPublisher {
    /// Starts it.
    #[must_use]
    pub fn start(
        config: BrokerConfig,
        generations: GenerationSource,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> Self {
        let _ = (config, generations, tracker, token);
        unimplemented!()
    }

    /// Publishes one command (an encoded envelope) and waits until it is durably stored.
    ///
    /// # Errors
    /// See [`PublishError`]: all but `Unknown` mean that it is certainly not stored.
    ///
    /// # Cancel safety
    /// If the future is dropped, the command may still be published.
    #[expect(clippy::unused_async, reason = "body to come")]
    pub async fn publish(&self, order_id: OrderId, envelope: Vec<u8>) -> Result<(), PublishError> {
        let _ = (order_id, envelope);
        unimplemented!()
    }

    /// Is it connected, not blocked, and does it know a generation? For readiness.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        unimplemented!()
    }
}
