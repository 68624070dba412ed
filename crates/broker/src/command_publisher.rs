//! Accepting commands: each goes to its shard's task, which publishes what has gathered as one message (*group commit*).
//!
//! Owns the meaning of the answer: `Ok` is durably stored, every error says whether the command may be stored all the same.
//! It never publishes an unknown command again; only its sender can do that safely, with the same command id.

use std::{collections::HashMap, sync::Arc, time::Duration};

use orderly_domain::OrderId;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{config::BrokerConfig, connection::Connection, turns::Turns};

mod chain;
mod group;
mod shard;
mod supervisor;

use chain::Chain;
use group::Pending;
use shard::ShardSet;

/// A confirm takes half a millisecond where the broker is near and idle (measured). One that takes longer must not hold up other
/// shards.
const TURN: Duration = Duration::from_millis(1);

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
    /// One of the same order that was sent together with it and before it is not stored, or perhaps not. It certainly is not.
    #[error("publish a command: one that must be before it was not stored")]
    Preceding,
    /// No generation takes its shard: certainly not stored; retry later.
    #[error("publish a command: no generation of shards takes it")]
    NoGeneration,
}

/// Publishes commands to the shards of the current generation, over one connection of its own that it opens again when it
/// is lost (backoff 200 ms to 5 s).
///
/// Two commands of one order are never in flight together: an order has one shard, a shard one task, a task one
/// outstanding publish. So a command published after another's `Ok` is behind it in the queue. Commands take their places
/// in the order of the calls, except across a resize.
#[derive(Clone)]
pub struct CommandPublisher {
    shared: Arc<Shared>,
}

/// What the publisher's handles and tasks share.
struct Shared {
    connection: watch::Sender<Option<Arc<Connection>>>,
    shards: watch::Sender<Option<Arc<ShardSet>>>,
    generations: GenerationSource,
    turns: Turns,
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
            turns: Turns::one_a_core(TURN),
            token,
        });
        tracker.spawn(supervisor::run(Arc::clone(&shared), config));
        Self { shared }
    }

    /// Publishes one command (an encoded envelope), which takes its place with this call, and waits until it is durably
    /// stored.
    ///
    /// # Errors
    /// See [`PublishError`]: all but `Unknown` mean that it is certainly not stored.
    ///
    /// # Cancel safety
    /// If the future is dropped, the command may still be published.
    pub fn publish(
        &self,
        order_id: OrderId,
        envelope: Vec<u8>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
        offer(self.open_shards(), order_id, envelope, None)
    }

    /// Publishes commands that were sent together, each as [`CommandPublisher::publish`] does. Those of one order keep their
    /// order even across a resize, and stop where one of them is not stored: the rest is refused as `Preceding`.
    #[must_use]
    pub fn publish_together(
        &self,
        commands: Vec<(OrderId, Vec<u8>)>,
    ) -> Vec<impl Future<Output = Result<(), PublishError>> + Send + use<>> {
        // One set of shards for all: a set that began between two commands could take the second one first.
        let shards = self.open_shards();
        let mut chains: HashMap<OrderId, Chain> = HashMap::new();
        commands
            .into_iter()
            .map(|(order_id, envelope)| {
                let chain = chains.entry(order_id).or_default().clone();
                offer(shards.clone(), order_id, envelope, Some(chain))
            })
            .collect()
    }

    fn open_shards(&self) -> Result<Arc<ShardSet>, PublishError> {
        let shared = &self.shared;
        if shared.token.is_cancelled() || !shared.is_connected() {
            return Err(PublishError::Unavailable);
        }
        let shards = shared.shards.borrow().clone();
        shards.ok_or_else(|| {
            shared.generations.reload.notify_one();
            PublishError::NoGeneration
        })
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

/// Hands a command to its shard, or refuses it.
fn offer(
    shards: Result<Arc<ShardSet>, PublishError>,
    order_id: OrderId,
    envelope: Vec<u8>,
    chain: Option<Chain>,
) -> impl Future<Output = Result<(), PublishError>> + Send + use<> {
    let (answer, answered) = oneshot::channel();
    let pending = Pending::new(order_id, envelope, chain, answer);
    match shards {
        Err(error) => pending.answer(Err(error)),
        Ok(shards) => {
            if let Err(refused) = shards.try_send(pending) {
                refused.into_inner().answer(Err(PublishError::Unavailable));
            }
        }
    }
    // A task drops what it took without an answer only if it panicked, perhaps after it published. The handle on the
    // shards is not kept while waiting, or their tasks would never end.
    async { answered.await.unwrap_or(Err(PublishError::Unknown)) }
}
