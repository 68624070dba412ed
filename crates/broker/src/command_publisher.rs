//! Accepting commands: each goes to its shard's task, which publishes what has gathered as one message (*group commit*).
//!
//! Owns the meaning of the answer: `Ok` is durably stored, every error says whether the command may be stored all the same.
//! It never publishes an unknown command again; only its sender can do that safely, with the same command id.

use std::sync::Arc;

use orderly_domain::OrderId;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{config::BrokerConfig, connection::Connection};

mod group;
mod shard;
mod supervisor;

use group::Pending;
use shard::ShardSet;

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
    /// The broker is away, blocked or overloaded, or this process stops: certainly not stored; retry.
    #[error("publish a command: the broker is not available")]
    Unavailable,
    /// It may be stored, now or later. Sending it again is safe with the same command id, and only so.
    #[error("publish a command: whether it is stored is unknown")]
    Unknown,
    /// No generation takes its shard: certainly not stored; retry later.
    #[error("publish a command: no generation of shards takes it")]
    NoGeneration,
}

/// Publishes commands to the shards of the current generation, over one connection of its own that it opens again when it
/// is lost (backoff 200 ms to 5 s).
///
/// Two commands of one order are never in flight together: an order has one shard, a shard one task, a task one
/// outstanding publish. So a command published after another's `Ok` is behind it in the queue. Commands whose futures
/// are first polled one after the other keep that order too, except across a resize.
#[derive(Clone)]
pub struct CommandPublisher {
    shared: Arc<Shared>,
}

/// What the publisher's handles and tasks share.
struct Shared {
    connection: watch::Sender<Option<Arc<Connection>>>,
    shards: watch::Sender<Option<Arc<ShardSet>>>,
    generations: GenerationSource,
    token: CancellationToken,
}

impl CommandPublisher {
    /// Starts its tasks on `tracker`. When `token` is cancelled it takes nothing more, publishes what it has taken, closes its
    /// connection, and its tasks end.
    #[must_use]
    pub fn start(
        config: BrokerConfig,
        generations: GenerationSource,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared {
            connection: watch::Sender::new(None),
            shards: watch::Sender::new(None),
            generations,
            token,
        });
        tracker.spawn(supervisor::run(Arc::clone(&shared), config));
        Self { shared }
    }

    /// Publishes one command (an encoded envelope) and waits until it is durably stored.
    ///
    /// # Errors
    /// See [`PublishError`]: all but `Unknown` mean that it is certainly not stored.
    ///
    /// # Cancel safety
    /// If the future is dropped, the command may still be published.
    pub async fn publish(&self, order_id: OrderId, envelope: Vec<u8>) -> Result<(), PublishError> {
        let shared = &self.shared;
        if shared.token.is_cancelled() || !shared.is_connected() {
            return Err(PublishError::Unavailable);
        }
        let Some(shards) = shared.shards.borrow().clone() else {
            shared.generations.reload.notify_one();
            return Err(PublishError::NoGeneration);
        };
        let (answer, answered) = oneshot::channel();
        let pending = Pending::new(order_id, envelope, answer);
        if shards.try_send(pending).is_err() {
            return Err(PublishError::Unavailable);
        }
        // The handle on this generation is not kept while waiting, or its tasks would never end.
        drop(shards);
        // A task drops what it took without an answer only if it panicked, perhaps after it published.
        answered.await.unwrap_or(Err(PublishError::Unknown))
    }

    /// Is it connected, not blocked, and does it know a generation? For readiness.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.shared.token.is_cancelled()
            && self.shared.is_connected()
            && self.shared.shards.borrow().is_some()
    }
}

impl Shared {
    /// Is there a connection, and does the broker read from it?
    fn is_connected(&self) -> bool {
        self.connection
            .borrow()
            .as_ref()
            .is_some_and(|connection| !connection.is_blocked())
    }
}
