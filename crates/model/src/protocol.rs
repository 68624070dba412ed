//! The rules of the code as switches, so that each can be taken away, and how much happens in a run.

/// What keeps a shard's commands in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The three layers.
    pub layers: Layers,
    /// The second line: unique command ids, unique versions of an order, orders written only at the version loaded.
    pub constraints: bool,
    /// A rule of the code that is broken.
    pub mistake: Option<Mistake>,
}

/// The three layers, each sufficient for one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// The broker delivers to one consumer until that one is gone.
    pub single_active_consumer: bool,
    /// Each transaction begins by locking the shard's row where the epoch is its own.
    pub epoch_fence: bool,
    /// A command id with an outcome is not decided again.
    pub dedupe: bool,
}

/// A rule that the code keeps, broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The fence looks at the row without locking it: a claim waits for nobody.
    FenceWithoutLock,
    /// A claim takes the shard whatever its epoch.
    ClaimWithoutCompare,
    /// The epoch is read when the consumer is there already.
    EpochReadAfterSubscribing,
    /// Dedupe and load take their snapshot before the shard's row is locked.
    SnapshotBeforeFence,
    /// The first batch takes its snapshot before the claim has waited for the batch in flight.
    SnapshotBeforeClaim,
    /// A batch's events are published when they are written, before the commit.
    PublishBeforeCommit,
    /// A batch is acked when it begins.
    AckBeforeCommit,
    /// A batch is acked when it is committed, before its events are out.
    AckBeforePublish,
    /// What a redelivery finds done is not published again.
    DoneIsNotRepublished,
    /// What a redelivery finds done is published again, after what the batch itself has made.
    DoneIsRepublishedLast,
    /// After a COMMIT without an answer the batch runs again in place.
    LostCommitRunAgain,
    /// After a publish without a confirm the next one goes out.
    LostPublishPassedOver,
    /// A hand-over cancels the consumer, and closes the channel when the batch is done.
    ConsumerCancelled,
    /// What comes back goes to the end of the queue.
    ReturnedToTheEnd,
}

impl Protocol {
    /// The protocol as it is built.
    pub const AS_BUILT: Self = Self {
        layers: Layers {
            single_active_consumer: true,
            epoch_fence: true,
            dedupe: true,
        },
        constraints: true,
        mistake: None,
    };

    /// As built, but for one rule.
    #[must_use]
    pub const fn with(mistake: Mistake) -> Self {
        Self {
            mistake: Some(mistake),
            ..Self::AS_BUILT
        }
    }

    /// As built, but with other layers.
    #[must_use]
    pub const fn on(layers: Layers) -> Self {
        Self {
            layers,
            ..Self::AS_BUILT
        }
    }

    /// Without the second line.
    #[must_use]
    pub const fn without_constraints(self) -> Self {
        Self {
            constraints: false,
            ..self
        }
    }

    pub(crate) fn makes(self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}

/// How much happens in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// What was accepted, in the order of the queue. A retry by the producer is the same command once more.
    pub accepted: Vec<Command>,
    /// How many workers there are, up to three.
    pub workers: usize,
    /// How many faults happen at most.
    pub faults: u8,
    /// How many times a view of membership, right or wrong, makes a worker hand the shard over. Anybody may subscribe at
    /// any time for nothing.
    pub moves: u8,
    /// States beyond this epoch are not looked at: a broken protocol can count for ever.
    pub epochs: u8,
}

/// A command as accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Command {
    /// Its id.
    pub id: u8,
    /// Its order.
    pub order: u8,
}

impl Size {
    /// This many commands of one order, `retry` among them a second time behind the others.
    #[must_use]
    pub fn one_order(commands: u8, retry: Option<u8>) -> Self {
        let ids = (1..=commands).chain(retry);
        Self {
            accepted: ids.map(|id| Command { id, order: 0 }).collect(),
            workers: 2,
            faults: 0,
            moves: 0,
            epochs: 9,
        }
    }

    /// With three workers: two can be overtaken at once.
    #[must_use]
    pub fn with_three_workers(self) -> Self {
        Self { workers: 3, ..self }
    }

    /// With so many faults and moves.
    #[must_use]
    pub fn disturbed(self, faults: u8, moves: u8) -> Self {
        Self {
            faults,
            moves,
            ..self
        }
    }

    /// No state beyond this epoch.
    #[must_use]
    pub fn up_to_epoch(self, epochs: u8) -> Self {
        Self { epochs, ..self }
    }
}
