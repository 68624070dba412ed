//! The task of one shard: publishes one group at a time and tells each command what became of it.

use std::{sync::Arc, time::Duration};

use orderly_domain::OrderId;
use orderly_protocol::{ShardId, limits, names};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::task::TaskTracker;

use super::{
    Layout, PublishError, Shared,
    group::{Arrivals, Group, Pending},
};
use crate::{
    connection::Connection,
    error::BrokerError,
    message::Confirm,
    publisher::{Answered, Publisher},
};

/// Commands that may wait for one shard: 32 full messages, tens of milliseconds of a broker that keeps up. Whoever comes
/// then is told at once that it does not; the memory is that of the requests themselves.
const CHANNEL_COMMANDS: usize = 32 * limits::MESSAGE_COMMANDS;

/// How often one command may meet a generation that has just ended. Twice is two resizes within seconds.
const MAX_RETURNS: u32 = 3;

/// How long a returned group waits for the generation that follows. The flip commits milliseconds after the old queues
/// were unbound; whoever waits for the answer should hear of trouble soon.
const NEWER_GENERATION_LIMIT: Duration = Duration::from_secs(2);

/// How long the queue of a shard may take to confirm a first message after a connection was lost. What reaches a queue between
/// two leaders lies in the broker until the node of the old one is back (seen on 3.10.8: 3 s, with a new leader after
/// 0.3 s); another channel finds the new one. A broker that is slow costs more of these messages, and nothing else.
const PROBE_LIMIT: Duration = Duration::from_millis(500);

/// As long as a publish may take.
const MAX_PROBES: u32 = 20;

/// Refusals after which the queue is believed to be full.
const REFUSED_PROBES: u32 = 3;

/// The ways into the shards of one generation.
pub(super) struct ShardSet {
    layout: Layout,
    senders: Vec<mpsc::Sender<Pending>>,
}

impl ShardSet {
    /// Starts a task for each shard of `layout`. They end when the set is dropped and what they had taken is answered.
    pub(super) fn start(layout: Layout, shared: &Arc<Shared>, tracker: &TaskTracker) -> Self {
        let senders = (0..layout.shard_count).map(|shard| {
            let id = ShardId {
                generation: layout.generation,
                shard,
            };
            let (sender, receiver) = mpsc::channel(CHANNEL_COMMANDS);
            let task = ShardTask {
                id,
                shared: Arc::clone(shared),
                publisher: None,
            };
            tracker.spawn(task.run(Arrivals::new(receiver)));
            sender
        });
        Self {
            layout,
            senders: senders.collect(),
        }
    }

    pub(super) fn generation(&self) -> i32 {
        self.layout.generation
    }

    /// Hands a command to its shard without waiting, so that the order of calls is the order of commands. An error means that
    /// the shard has no place, or that its task has ended.
    pub(super) fn try_send(
        &self,
        pending: Pending,
    ) -> Result<(), mpsc::error::TrySendError<Pending>> {
        self.sender(pending.order_id).try_send(pending)
    }

    fn sender(&self, order_id: OrderId) -> &mpsc::Sender<Pending> {
        let shard = orderly_protocol::shard_of(order_id, self.layout.shard_count);
        &self.senders[usize::try_from(shard).expect("shards count from 0")]
    }
}

struct ShardTask {
    id: ShardId,
    shared: Arc<Shared>,
    /// On the connection that was current when it was opened.
    publisher: Option<Publisher>,
}

impl ShardTask {
    async fn run(mut self, mut arrivals: Arrivals) {
        let mut connection = self.shared.connection.subscribe();
        // One that is there already counts as new to this task.
        connection.mark_changed();
        let mut had_one = false;
        let token = self.shared.token.clone();
        let turns = self.shared.turns.clone();
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                () = token.cancelled(), if !stopping => {
                    arrivals.close();
                    stopping = true;
                }
                // Opens the channel before the first command needs it.
                Ok(()) = connection.changed() => {
                    let current = connection.borrow_and_update().clone();
                    self.publisher = match current {
                        Some(current) if had_one => self.reopen(&current).await,
                        current => open(current.as_deref()).await,
                    };
                    had_one |= self.publisher.is_some();
                }
                group = arrivals.next_group(&turns) => match group {
                    Some((turn, group)) => turn.during(self.settle(group)).await,
                    None => return,
                },
            }
        }
    }

    /// A publisher for a shard whose queue may have lost its leader together with the last connection: commands go only where a
    /// message that means nothing was confirmed.
    async fn reopen(&self, connection: &Connection) -> Option<Publisher> {
        let routing_key = self.id.routing_key();
        for probe in 0..MAX_PROBES {
            let publisher = open(Some(connection)).await?;
            if publisher.is_blocked() {
                return Some(publisher);
            }
            let answered = publisher.answered(names::COMMANDS_EXCHANGE, &routing_key, PROBE_LIMIT);
            match answered.await {
                Ok(Answered::No) => {}
                // A queue without a leader refuses as a full one does.
                Ok(Answered::Refused(_)) if probe < REFUSED_PROBES => sleep(PROBE_LIMIT).await,
                Ok(Answered::Refused(publisher) | Answered::Yes(publisher)) => {
                    return Some(publisher);
                }
                Err(error) => {
                    connection.fail(error);
                    return None;
                }
            }
        }
        connection.fail(BrokerError::NotConfirmed);
        None
    }

    /// Publishes one group, or finds out why not, and answers each of its commands.
    async fn settle(&mut self, group: Group) {
        if self.newer_generation().is_some() {
            // A resize unbinds the old queues before it flips; what got there all the same would need forwarding.
            return self.reroute(group).await;
        }
        let group = group.without_cut_off();
        if group.is_empty() {
            return;
        }
        let alive = self
            .publisher
            .as_mut()
            .filter(|publisher| publisher.is_alive());
        let Some(publisher) = alive.filter(|publisher| !publisher.is_blocked()) else {
            return group.answer(Err(PublishError::Unavailable));
        };
        let routing_key = self.id.routing_key();
        let message = group.message();
        match publisher
            .publish_mandatory(names::COMMANDS_EXCHANGE, &routing_key, &message)
            .await
        {
            Ok(Confirm::Stored) => group.answer(Ok(())),
            Ok(Confirm::Refused) => group.answer(Err(PublishError::ShardFull)),
            Ok(Confirm::Returned) => self.reroute(group).await,
            Err(unknown) => {
                let error = &unknown as &dyn std::error::Error;
                tracing::warn!(shard = %self.id, error, "a group of commands is unknown");
                self.publisher = None;
                group.answer(Err(PublishError::Unknown));
            }
        }
    }

    /// Nothing of the group is stored, since its shard no longer takes commands: hands each command, in order, to its shard of
    /// the generation that follows. Waits only for newer generations, so tasks cannot wait for each other in a circle.
    async fn reroute(&self, group: Group) {
        self.shared.generations.reload.notify_one();
        let newer = tokio::time::timeout(NEWER_GENERATION_LIMIT, self.wait_for_newer()).await;
        let Ok(newer) = newer else {
            tracing::warn!(shard = %self.id, "commands were returned and no newer generation is known");
            return group.answer(Err(PublishError::NoGeneration));
        };
        for mut pending in group.into_pending() {
            pending.returns += 1;
            if pending.returns > MAX_RETURNS {
                pending.answer(Err(PublishError::NoGeneration));
            } else if let Err(refused) = newer.sender(pending.order_id).send(pending).await {
                refused.0.answer(Err(PublishError::Unavailable));
            }
        }
    }

    async fn wait_for_newer(&self) -> Arc<ShardSet> {
        let mut shards = self.shared.shards.subscribe();
        loop {
            if let Some(newer) = self.newer_generation() {
                return newer;
            }
            if shards.changed().await.is_err() {
                // The sender lives as long as this task's `Shared`.
                std::future::pending::<()>().await;
            }
        }
    }

    fn newer_generation(&self) -> Option<Arc<ShardSet>> {
        let shards = self.shared.shards.borrow();
        shards
            .as_ref()
            .filter(|shards| shards.generation() > self.id.generation)
            .cloned()
    }
}

/// A publisher on the current connection. A failure ends that connection; the next one is announced.
async fn open(connection: Option<&Connection>) -> Option<Publisher> {
    let connection = connection?;
    match connection.publisher().await {
        Ok(publisher) => Some(publisher),
        Err(error) => {
            // Without its channel the shard would refuse every command on a connection that looks healthy.
            connection.fail(error);
            None
        }
    }
}
