//! What can happen next. Steps of a coordinator carry the names that they have in the code.

use super::Node;

/// A shard of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The generation's number.
    pub generation: usize,
    /// The shard's.
    pub shard: usize,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The ingress at this node reads which generation takes commands.
    Load(Node),
    /// A producer posts its next command to the ingress at this node, which publishes it to the generation that it knows. One that would be
    /// returned does not happen: it leaves nothing.
    Publish(Node, usize),
    /// The message of this index that is on its way is stored, and confirmed to whoever waits for it.
    Store(usize),
    /// The message of this index, which nobody waits for, never arrives.
    Vanish(usize),
    /// The node applies the next change of a binding.
    Propagate(Node),

    /// An operator asks for the next number of shards.
    Request,
    /// An operator takes the resize back.
    Abort,
    /// The worker process at this node declares the lock's queue, and reads the row.
    Take(Node),
    /// Reads the row without the lock. Only a mistake does.
    ReadEarly(Node),
    /// Declares and binds the queue of this shard of the new generation.
    Declare(Node, usize),
    /// Unbinds the queue of this shard of the old generation.
    Unbind(Node, usize),
    /// The coordinator at the first node finds that the second returns every key of the old generation.
    Probe(Node, Node),
    /// Publishes the marker of this step to this shard of the old generation.
    Mark(Node, usize),
    /// Begins the next step by a conditional update of the row.
    Advance(Node),
    /// Notices that its connection is lost.
    Leave(Node),

    /// The shard's worker takes the next message and commits: claims the shard first, if it has not; applies a command, forwards it
    /// if the shard is drained; records a marker.
    Process(Place, Node),
    /// Publishes the event of the oldest message that is committed, and acks it.
    Finish(Place),
    /// Finds its queue empty and counts as drained. Only a mistake does.
    FindEmpty(Place),

    /// Fault: the coordinator is cut off, frozen or dead: its lock is free.
    Cut(Node),
    /// Fault: the outcome of what the ingress had published is unknown.
    Lose(Node),
    /// Fault: the shard's worker dies with what it has not acked.
    Crash(Place),
    /// Fault: the shard's worker dies between a forward and its ack.
    CrashForwarding(Place, Node),
}

impl Action {
    /// Is it one of those that are counted, and that nobody may rely on?
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Cut(_) | Self::Lose(_) | Self::Crash(_) | Self::CrashForwarding(..)
        )
    }
}
