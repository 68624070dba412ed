//! Crash points: every boundary between two steps of the product at which a process may die, by name.
//!
//! The product says where it is with [`reach`]. In a release that is nothing. With the feature `armed`, which only the tests of
//! the command line turn on, a process that finds `CRASH_POINTS` in its environment dies or fails there:
//! `CRASH_POINTS=after_commit:kill:3` ends it by SIGKILL when it comes to that point for the third time. The crash matrix
//! (`crates/cli/tests/it/matrix.rs`) goes through [`CrashPoint::ALL`].

#[cfg(feature = "armed")]
mod armed;

#[cfg(feature = "armed")]
pub use armed::reach;

/// Whose process it is that comes to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `orderly ingress`.
    Ingress,
    /// `orderly worker`.
    Worker,
    /// `orderly relay`.
    Relay,
    /// `orderly payments`.
    Payments,
}

/// The failure that a test asked for, in place of the one that a server or a network might bring there.
#[derive(Clone, Copy, Debug)]
pub struct Injected;

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal in [$($role:ident),+];)+) => {
        /// A boundary between two steps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CrashPoint {
            $($(#[$doc])* $point,)+
        }

        impl CrashPoint {
            /// Every point.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// Its name, as in `CRASH_POINTS`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }

            /// The roles that come to it.
            #[must_use]
            pub fn roles(self) -> &'static [Role] {
                match self {
                    $(Self::$point => &[$(Role::$role),+],)+
                }
            }
        }
    };
}

points! {
    /// Checked and signed; nothing of it has left the process.
    AfterAccept = "after_accept" in [Ingress];
    /// The broker has confirmed the command; its sender does not know.
    BeforeAnswer = "before_answer" in [Ingress];
    /// A publish is with the broker client, and its confirm is awaited: events of a shard, or a group of commands.
    AfterPublish = "after_publish" in [Ingress, Worker, Payments];

    /// The queue of a shard is consumed; nothing has come yet.
    AfterSubscribe = "after_subscribe" in [Worker];
    /// A delivery is in hand.
    AfterReceive = "after_receive" in [Worker];
    /// The shard's epoch is this worker's.
    AfterClaim = "after_claim" in [Worker];
    /// The transaction of a batch is begun behind its fence.
    AfterFence = "after_fence" in [Worker];
    /// It is known which commands were done before, and where their orders stand: one statement.
    AfterDedupeAndLoad = "after_dedupe_and_load" in [Worker];
    /// The events of redelivered commands are read.
    AfterEventsOfDeliveries = "after_events_of_deliveries" in [Worker];
    /// The stock of the batch is locked.
    AfterStock = "after_stock" in [Worker];
    /// Everything is decided, nothing is written.
    AfterDecide = "after_decide" in [Worker];
    /// Everything is written, nothing is committed.
    AfterWrite = "after_write" in [Worker];
    /// The batch is committed, and nobody outside the database knows.
    AfterCommit = "after_commit" in [Worker];
    /// Those that wait for an answer were told; the finisher has not begun.
    BeforeFinish = "before_finish" in [Worker];
    /// All events are confirmed; foreign commands are not on their way.
    AfterConfirm = "after_confirm" in [Worker];
    /// A foreign command is confirmed by its shard, and not acknowledged to this one.
    AfterForward = "after_forward" in [Worker];
    /// All is confirmed, nothing is acknowledged.
    BeforeAck = "before_ack" in [Worker];
    /// The ack is written.
    AfterAck = "after_ack" in [Worker];
    /// A suspect's attempt is on record, and not begun.
    AfterAttemptBegin = "after_attempt_begin" in [Worker];
    /// A suspect was applied, and its attempt is still open.
    BeforeAttemptEnd = "before_attempt_end" in [Worker];
    /// A batch failed for one command's sake; the first of its commands is about to run alone.
    BeforeSingles = "before_singles" in [Worker];
    /// The command at fault is found, and not parked.
    BeforeParking = "before_parking" in [Worker];
    /// A part of a release is committed and handed to the finisher, and more is to come.
    AfterReleasePart = "after_release_part" in [Worker];
    /// The last part of a release is written, with the outcome of its control command, and not committed.
    BeforeReleaseEnd = "before_release_end" in [Worker];
    /// A subscription ends; what was committed may not be published.
    BeforeDrain = "before_drain" in [Worker];
    /// What was committed is published and acknowledged; the channel is open.
    AfterDrain = "after_drain" in [Worker];
    /// The channel is closed: the broker has given the shard to another consumer.
    AfterHandOver = "after_hand_over" in [Worker];
    /// All shards are handed over; the worker is still on the list of the living.
    BeforeLeave = "before_leave" in [Worker];

    /// The lock of a resize is this worker's.
    AfterResizeLock = "after_resize_lock" in [Worker];
    /// The new queues are declared and bound; the row does not say so.
    AfterResizeDeclared = "after_resize_declared" in [Worker];
    /// The old queues will be unbound: there is no way back, and nothing was done yet.
    BeforeUnbind = "before_unbind" in [Worker];
    /// They are unbound, and no generation takes commands.
    AfterUnbind = "after_unbind" in [Worker];
    /// The new generation is current; nobody has probed the old one.
    AfterFlip = "after_flip" in [Worker];
    /// Marker 1 is in every old queue.
    AfterMarker1 = "after_marker_1" in [Worker];
    /// Marker 2 is.
    AfterMarker2 = "after_marker_2" in [Worker];
    /// Every old shard is drained; the row does not say so.
    BeforeResizeDone = "before_resize_done" in [Worker];

    /// A round of copies is with the broker client, and its confirms are awaited.
    AfterCopiesSent = "after_copies_sent" in [Relay];
    /// A round of copies is confirmed; the offset is that of an earlier one.
    AfterCopies = "after_copies" in [Relay];
    /// The offset is saved.
    AfterOffset = "after_offset" in [Relay];

    /// The gateway has done what it was asked, and nobody knows.
    AfterGateway = "after_gateway" in [Payments];
    /// What the gateway said is confirmed; the event that asked for it is not acknowledged.
    BeforePaymentAck = "before_payment_ack" in [Payments];
    /// The event is acknowledged.
    AfterPaymentAck = "after_payment_ack" in [Payments];
}

/// Says that the process is at `point`: nothing happens.
///
/// # Errors
/// Never; with the feature `armed`, when a test wants it to fail here.
#[cfg(not(feature = "armed"))]
#[inline(always)]
#[allow(
    clippy::inline_always,
    clippy::unnecessary_wraps,
    reason = "it must leave no trace, and look like its armed twin"
)]
pub fn reach(_point: CrashPoint) -> Result<(), Injected> {
    Ok(())
}
