//! What can happen next. Steps of a worker carry the names that they have in the code.

use crate::Who;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reads the shard's epoch.
    ReadEpoch(Who),
    /// Subscribes to the queue. Membership lets anybody do so at any time.
    Subscribe(Who),
    /// The broker delivers a message.
    Deliver(Who),
    /// Claims the shard with the first delivery, if the epoch is still the one that was read. Waits for a batch in flight.
    Claim(Who),
    /// Takes what has arrived as a batch, begins its transaction and locks the shard's row; or finds that it was claimed.
    Fence(Who),
    /// Reads outcomes and orders in one snapshot.
    DedupeAndLoad(Who),
    /// Decides, and writes outcomes and events; or is refused by a constraint and begins the batch again.
    Write(Who),
    /// Commits, and hands the batch to the finisher.
    Commit(Who),
    /// Publishes the next event of the oldest unfinished batch, confirmed.
    Publish(Who),
    /// Acks the oldest unfinished batch. On a lost channel it goes nowhere.
    Ack(Who),
    /// Notices that the channel is lost.
    Notice(Who),
    /// A view of membership, or an operator, wants the worker to hand the shard over.
    Stop(Who),
    /// Closes the channel when the batch in hand and the unfinished ones are done: what was not acked is redelivered.
    HandOver(Who),

    /// Fault: the process ends, with a request under way or without. It starts again at any time.
    Crash(Who, InFlight),
    /// Fault: the broker gives the worker up while the process lives on: frozen, or cut off.
    Cut(Who),
    /// Fault: the answer to a claim is lost.
    LoseClaim(Who),
    /// Fault: Postgres ends the transaction and its session. The worker gives its subscription up.
    LoseTransaction(Who),
    /// Fault: Postgres refuses the transaction as one that may be run again, which is done in place.
    RefuseTransaction(Who),
    /// Fault: the answer to a COMMIT is lost. The worker gives its subscription up.
    LoseCommit(Who),
    /// Fault: a publish is not confirmed. The worker gives its subscription up.
    LosePublish(Who),

    /// The unanswered claim of this index gets the row.
    LateClaim(usize),
    /// The unanswered COMMIT of this index is through.
    LateCommit(usize),
    /// The transaction of the unanswered COMMIT of this index is rolled back: it never arrived.
    LateRollback(usize),
    /// The unconfirmed event of this index arrives.
    LatePublish(usize),
}

/// What a process had sent when it crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InFlight {
    /// Nothing that arrives.
    Nothing,
    /// A claim.
    Claim,
    /// A COMMIT.
    Commit,
    /// An event.
    Publish,
}

impl Action {
    /// Is it one of those that are counted, and that nobody may rely on?
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Crash(..)
                | Self::Cut(_)
                | Self::LoseClaim(_)
                | Self::LoseTransaction(_)
                | Self::RefuseTransaction(_)
                | Self::LoseCommit(_)
                | Self::LosePublish(_)
        )
    }
}
