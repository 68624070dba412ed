//! The shard's quorum queue, as it was measured: in order, and what a closed channel held comes back to its place.

use crate::Who;
use crate::state::Names;

/// A message on its way to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Delivery {
    /// Which of the accepted commands it holds.
    pub place: usize,
    /// Was it delivered before?
    pub redelivered: bool,
}

/// The queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue {
    /// Waiting to be delivered, in order.
    pub ready: Vec<Delivery>,
    /// Delivered on each worker's channel and not acked, in the order of delivery.
    pub unacked: Vec<Vec<usize>>,
    /// Which places were acked.
    pub acked: Vec<bool>,
    /// Who has a consumer, in the order in which they came.
    pub consumers: Vec<Who>,
}

impl Queue {
    pub(crate) fn holding(messages: usize, workers: usize) -> Self {
        let first = |place| Delivery {
            place,
            redelivered: false,
        };
        Self {
            ready: (0..messages).map(first).collect(),
            unacked: vec![Vec::new(); workers],
            acked: vec![false; messages],
            ..Self::default()
        }
    }

    /// Is everything done that was accepted?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.acked.iter().all(|acked| *acked)
    }

    /// Would the next message go to `who`?
    pub(crate) fn delivers_to(&self, who: Who, single_active: bool) -> bool {
        let serves = if single_active {
            self.consumers.first() == Some(&who)
        } else {
            self.consumers.contains(&who)
        };
        serves && !self.ready.is_empty()
    }

    pub(crate) fn deliver(&mut self, who: Who) -> Delivery {
        let next = self.ready.remove(0);
        self.unacked[who as usize].push(next.place);
        next
    }

    /// Acks this delivery and all before it on the channel of `who`.
    pub(crate) fn ack_through(&mut self, who: Who, place: usize) {
        let unacked = &mut self.unacked[who as usize];
        if let Some(last) = unacked.iter().position(|held| *held == place) {
            for done in unacked.drain(..=last) {
                self.acked[done] = true;
            }
        }
    }

    /// The consumer is gone, what it holds is not.
    pub(crate) fn cancel(&mut self, who: Who) {
        self.consumers.retain(|consumer| *consumer != who);
    }

    /// The channel of `who` has ended: what it held is redelivered, and the next consumer becomes active.
    pub(crate) fn take_back(&mut self, who: Who, to_its_place: bool) {
        self.cancel(who);
        let held = self.unacked[who as usize].drain(..);
        self.ready.extend(held.map(|place| Delivery {
            place,
            redelivered: true,
        }));
        if to_its_place {
            self.ready.sort_unstable();
        }
    }

    pub(crate) fn rename(&mut self, names: Names) {
        let unacked = std::mem::take(&mut self.unacked);
        self.unacked.resize(unacked.len(), Vec::new());
        for (held, who) in unacked.into_iter().zip(names) {
            self.unacked[who as usize] = held;
        }
        for consumer in &mut self.consumers {
            *consumer = consumer.renamed(names);
        }
    }
}
