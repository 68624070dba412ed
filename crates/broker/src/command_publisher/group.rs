//! What waits for a shard and how it becomes a message. Owns the limits of a group; never waits to fill one.

use orderly_domain::OrderId;
use orderly_protocol::{encode_commands, limits};
use tokio::sync::{mpsc, oneshot};

use super::{Chain, PublishError};
use crate::{
    message::Message,
    turns::{Turn, Turns},
};

/// Bytes of a message besides its envelopes: `{"commands":[` and `]}`; each envelope adds a comma.
const FRAME_BYTES: usize = 16;

/// One command that somebody waits for.
pub(super) struct Pending {
    pub(super) order_id: OrderId,
    envelope: Vec<u8>,
    chain: Option<Chain>,
    answer: oneshot::Sender<Result<(), PublishError>>,
    /// How often it was published and returned.
    pub(super) returns: u32,
}

impl Pending {
    pub(super) fn new(
        order_id: OrderId,
        envelope: Vec<u8>,
        chain: Option<Chain>,
        answer: oneshot::Sender<Result<(), PublishError>>,
    ) -> Self {
        Self {
            order_id,
            envelope,
            chain,
            answer,
            returns: 0,
        }
    }

    /// Tells whoever waits. Nobody may: an HTTP client that went away. What is not stored breaks its chain.
    pub(super) fn answer(self, answer: Result<(), PublishError>) {
        if let (Err(_), Some(chain)) = (answer, &self.chain) {
            chain.cut();
        }
        self.answer.send(answer).ok();
    }

    /// Whether a command that must be before it was not stored.
    fn is_cut_off(&self) -> bool {
        self.chain.as_ref().is_some_and(Chain::is_cut)
    }
}

/// Commands of one shard that go out as one message, in order.
pub(super) struct Group(Vec<Pending>);

impl Group {
    /// The group without the commands whose predecessors were not stored: those are refused. Asked last, right before
    /// the publish, since what decides it may have happened while they waited.
    pub(super) fn without_cut_off(self) -> Self {
        let (cut_off, rest) = self.0.into_iter().partition(Pending::is_cut_off);
        Self(cut_off).answer(Err(PublishError::Preceding));
        Self(rest)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn message(&self) -> Message {
        Message::commands(encode_commands(
            self.0.iter().map(|pending| pending.envelope.as_slice()),
        ))
    }

    pub(super) fn answer(self, answer: Result<(), PublishError>) {
        for pending in self.0 {
            pending.answer(answer);
        }
    }

    pub(super) fn into_pending(self) -> Vec<Pending> {
        self.0
    }
}

/// The end of a shard's channel, from which groups are taken.
pub(super) struct Arrivals {
    receiver: mpsc::Receiver<Pending>,
    /// The first of the next group: it did not fit the last one, or waits for its turn.
    carried: Option<Pending>,
}

impl Arrivals {
    pub(super) fn new(receiver: mpsc::Receiver<Pending>) -> Self {
        Self {
            receiver,
            carried: None,
        }
    }

    /// Takes nothing more; what was taken is still to be published.
    pub(super) fn close(&mut self) {
        self.receiver.close();
    }

    /// Waits for one command, then for a turn, and takes with the command what has arrived until then, up to the limits of a
    /// message. `None` when nothing is left and nothing can come.
    ///
    /// Cancel safe: a command is taken only when the group is complete.
    pub(super) async fn next_group(&mut self, turns: &Turns) -> Option<(Turn, Group)> {
        if self.carried.is_none() {
            self.carried = Some(self.receiver.recv().await?);
        }
        let turn = turns.next().await;
        let first = self.carried.take()?;
        let mut bytes = FRAME_BYTES + first.envelope.len();
        let mut group = vec![first];
        while group.len() < limits::MESSAGE_COMMANDS {
            let Ok(next) = self.receiver.try_recv() else {
                break;
            };
            bytes += next.envelope.len() + 1;
            if bytes > limits::MESSAGE_BYTES {
                self.carried = Some(next);
                break;
            }
            group.push(next);
        }
        Some((turn, Group(group)))
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn one_turn() -> Turns {
        Turns::new(1, Duration::from_secs(1))
    }

    fn arrivals(sizes: impl IntoIterator<Item = usize>) -> Arrivals {
        let (sender, receiver) = mpsc::channel(1_024);
        for (number, bytes) in sizes.into_iter().enumerate() {
            let order_id = OrderId(Uuid::from_u128(number as u128));
            let pending = Pending::new(order_id, vec![b'1'; bytes], None, oneshot::channel().0);
            sender.try_send(pending).unwrap_or_else(|_| panic!("full"));
        }
        Arrivals::new(receiver)
    }

    async fn group_sizes(mut arrivals: Arrivals) -> Vec<usize> {
        let (mut sizes, mut next_order) = (Vec::new(), 0);
        let turns = one_turn();
        while let Some((_, group)) = arrivals.next_group(&turns).await {
            assert!(group.0.len() == 1 || group.message().body.len() <= limits::MESSAGE_BYTES);
            for pending in &group.0 {
                assert_eq!(pending.order_id.0.as_u128(), next_order, "arrival order");
                next_order += 1;
            }
            sizes.push(group.0.len());
        }
        sizes
    }

    #[tokio::test]
    async fn a_group_holds_at_most_128_commands() {
        assert_eq!(group_sizes(arrivals([10; 300])).await, [128, 128, 44]);
    }

    #[tokio::test]
    async fn a_group_takes_what_arrived_while_it_waited_for_its_turn() {
        let (sender, receiver) = mpsc::channel(8);
        let mut arrivals = Arrivals::new(receiver);
        let turns = one_turn();
        let busy = turns.next().await;
        let send = || {
            let pending =
                Pending::new(OrderId(Uuid::nil()), vec![b'1'], None, oneshot::channel().0);
            sender.try_send(pending).unwrap_or_else(|_| panic!("full"));
        };
        send();
        // Given up midway, as the task of a shard does when its connection changes: nothing is lost.
        assert!(arrivals.next_group(&turns).now_or_never().is_none());
        send();
        let mut next = pin!(arrivals.next_group(&turns));
        assert!(next.as_mut().now_or_never().is_none());
        send();
        drop(busy);
        let (_, group) = next.await.unwrap();
        assert_eq!(group.0.len(), 3);
    }

    #[tokio::test]
    async fn a_group_ends_before_it_exceeds_256_kilobytes() {
        let third = limits::MESSAGE_BYTES / 3;
        assert_eq!(group_sizes(arrivals([third; 5])).await, [2, 2, 1]);
        assert_eq!(group_sizes(arrivals([third - 6; 5])).await, [3, 2]);
    }

    #[tokio::test]
    async fn what_follows_a_command_that_is_not_stored_is_refused() {
        let chain = Chain::default();
        let link = |chain: Option<&Chain>| {
            let (answer, answered) = oneshot::channel();
            let order_id = OrderId(Uuid::nil());
            (
                Pending::new(order_id, Vec::new(), chain.cloned(), answer),
                answered,
            )
        };
        let (first, _) = link(Some(&chain));
        let (second, told) = link(Some(&chain));
        let (stranger, _waiting) = link(None);
        first.answer(Err(PublishError::ShardFull));
        let rest = Group(vec![second, stranger]).without_cut_off();
        assert_eq!(told.await, Ok(Err(PublishError::Preceding)));
        assert_eq!(rest.0.len(), 1, "the stranger goes on");
    }

    #[tokio::test]
    async fn a_command_larger_than_a_group_goes_alone() {
        let sizes = [10, limits::MESSAGE_BYTES + 5, 10, 10];
        assert_eq!(group_sizes(arrivals(sizes)).await, [1, 1, 2]);
    }
}
