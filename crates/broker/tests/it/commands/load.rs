//! Many producers at once, each with an order of its own, each posting the next command when the last was answered.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use orderly_broker::Delivery;
use tokio::task::JoinSet;

use super::*;
use crate::broker::{PREFETCH, SHARD, next};

/// What became of each command.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) stored: BTreeSet<(u32, u32)>,
    /// Certainly not stored.
    pub(super) refused: BTreeSet<(u32, u32)>,
    pub(super) unavailable: BTreeSet<(u32, u32)>,
    pub(super) unknown: BTreeSet<(u32, u32)>,
}

impl Outcome {
    /// The answers are true for what was found in the queues.
    pub(super) fn assert_true_for(&self, found: Vec<(u32, u32)>) {
        assert_ordered(&found);
        let found = set(found);
        let lost: Vec<_> = self.stored.difference(&found).collect();
        assert!(lost.is_empty(), "stored, but not there: {lost:?}");
        let may = &self.stored | &self.unknown;
        let wrong: Vec<_> = found.difference(&may).collect();
        assert!(wrong.is_empty(), "there, but not stored: {wrong:?}");
    }
}

#[derive(Default)]
struct State {
    stored: AtomicUsize,
    full: AtomicUsize,
    refused: AtomicUsize,
    unknown: AtomicUsize,
    outcome: Mutex<Outcome>,
}

/// Runs until it is stopped.
pub(super) struct Load {
    state: Arc<State>,
    token: CancellationToken,
    producers: JoinSet<()>,
}

impl Load {
    pub(super) fn start(ingress: &Ingress, orders: u32) -> Self {
        let (state, token) = (Arc::new(State::default()), CancellationToken::new());
        let mut producers = JoinSet::new();
        for order in 0..orders {
            let publisher = ingress.publisher.clone();
            producers.spawn(produce(publisher, order, Arc::clone(&state), token.clone()));
        }
        Self {
            state,
            token,
            producers,
        }
    }

    pub(super) fn stored(&self) -> usize {
        self.state.stored.load(Ordering::SeqCst)
    }

    pub(super) fn full(&self) -> usize {
        self.state.full.load(Ordering::SeqCst)
    }

    pub(super) fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }

    pub(super) fn unknown(&self) -> usize {
        self.state.unknown.load(Ordering::SeqCst)
    }

    /// Waits for the answers that are outstanding.
    pub(super) async fn stop(self) -> Outcome {
        self.token.cancel();
        tokio::time::timeout(PATIENCE, self.producers.join_all())
            .await
            .expect("all are answered");
        std::mem::take(&mut *self.state.outcome.lock().unwrap())
    }
}

async fn produce(
    publisher: CommandPublisher,
    order: u32,
    state: Arc<State>,
    token: CancellationToken,
) {
    for seq in 1.. {
        if token.is_cancelled() {
            return;
        }
        let answer = publisher
            .publish(order_id(order), envelope(order, seq))
            .await;
        let command = (order, seq);
        {
            let mut outcome = state.outcome.lock().unwrap();
            let (kind, counter) = match answer {
                Ok(()) => (&mut outcome.stored, &state.stored),
                Err(PublishError::ShardFull) => (&mut outcome.refused, &state.full),
                Err(PublishError::Unknown) => (&mut outcome.unknown, &state.unknown),
                Err(
                    PublishError::Unavailable
                    | PublishError::NoGeneration
                    | PublishError::Preceding,
                ) => (&mut outcome.unavailable, &state.refused),
            };
            kind.insert(command);
            counter.fetch_add(1, Ordering::SeqCst);
        }
        if answer.is_err() {
            // A refusal comes at once: without a pause the load would be refusals alone.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Takes this many commands from the only shard and then finds it empty.
pub(super) async fn take_commands(broker: &Broker, count: usize) -> Vec<(u32, u32)> {
    let connection = broker.connect("take").await;
    let mut subscription = connection.subscribe_shard(&SHARD, PREFETCH).await.unwrap();
    let mut commands = Vec::new();
    while commands.len() < count {
        let delivery: Delivery = next(&mut subscription).await;
        commands.extend(groups(&[delivery.body.to_vec()]).into_iter().flatten());
        delivery.ack_through().await.unwrap();
    }
    assert!(subscription.try_next().is_none());
    commands
}
