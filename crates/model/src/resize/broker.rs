//! The broker: queues in order, bindings as each node knows them, and messages between the two.

use super::Place;

/// A node of the broker. At each is one ingress, and one worker process that may coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// The one.
    A,
    /// The other.
    B,
}

impl Node {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A binding that was made or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// Whose queue.
    pub place: Place,
    /// Is it bound from here on?
    pub bound: bool,
}

/// The bindings of the commands exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bindings {
    /// All changes, in order.
    pub log: Vec<Change>,
    /// How many of them each node has applied.
    pub applied: [usize; 2],
}

impl Bindings {
    /// Does this node route to `place`?
    #[must_use]
    pub fn leads(&self, node: Node, place: Place) -> bool {
        is_bound(&self.log[..self.applied[node as usize]], place)
    }

    /// Makes the change at `node`, unless it is made already; then that node has applied everything.
    pub(crate) fn change(&mut self, node: Node, place: Place, bound: bool) {
        if is_bound(&self.log, place) != bound {
            self.log.push(Change { place, bound });
        }
        self.applied[node as usize] = self.log.len();
    }
}

fn is_bound(log: &[Change], place: Place) -> bool {
    let last = log.iter().rfind(|change| change.place == place);
    last.is_some_and(|change| change.bound)
}

/// A message in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// A command.
    Command {
        /// Which one.
        command: usize,
        /// Was it delivered before?
        redelivered: bool,
        /// Was its effect committed by the delivery that is not acked yet?
        applied: bool,
    },
    /// Marker 1.
    First,
    /// Marker 2.
    Second,
}

impl Message {
    pub(crate) const fn fresh(command: usize) -> Self {
        Self::Command {
            command,
            redelivered: false,
            applied: false,
        }
    }

    pub(crate) const fn command(self) -> Option<usize> {
        match self {
            Self::Command { command, .. } => Some(command),
            Self::First | Self::Second => None,
        }
    }
}

/// A shard's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue {
    /// What it holds, in order.
    pub messages: Vec<Message>,
    /// How many of the first ones are committed and not acked.
    pub unacked: usize,
}

impl Queue {
    /// The next one that is not committed.
    #[must_use]
    pub fn next(&self) -> Option<Message> {
        self.messages.get(self.unacked).copied()
    }

    /// What was not acked comes again, in its place.
    pub(crate) fn redeliver(&mut self) {
        for message in &mut self.messages[..self.unacked] {
            if let Message::Command {
                redelivered,
                applied,
                ..
            } = message
            {
                *redelivered = true;
                *applied = false;
            }
        }
        self.unacked = 0;
    }
}

/// A command that is routed and not yet stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flight {
    /// Which one.
    pub command: usize,
    /// Where to.
    pub place: Place,
    /// The node whose ingress waits for the confirm; none if the outcome is unknown to it.
    pub from: Option<Node>,
    /// Was a marker published to the same queue meanwhile? Then it arrives before that one is met.
    pub due: bool,
}
