//! The rules of a resize, so that each can be taken away, and how much happens in a run.

/// What keeps commands in order while the number of shards changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// A command that was routed before a marker was published is stored before that marker is met. No rule: the broker's pace.
    pub bounded: bool,
    /// A rule that is broken.
    pub mistake: Option<Mistake>,
}

/// A rule of the protocol, broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The new generation is current first, then the old queues are unbound.
    FlipBeforeUnbinding,
    /// Nobody looks whether the old keys lead anywhere.
    NoProbes,
    /// The probes come after the flip, before the markers.
    ProbesAfterFlip,
    /// They come before the flip, and not again.
    NoProbesAfterFlip,
    /// Only the coordinator's own node is probed.
    ProbesOnOneNode,
    /// A queue that is found empty counts as drained.
    NoMarkers,
    /// Marker 1 drains.
    OneMarker,
    /// Marker 2 follows marker 1 at once.
    SecondMarkerAtOnce,
    /// The batch of marker 2 begins while what is before it is not acked.
    SecondMarkerBesideUnacked,
    /// A shard is claimed whatever the earlier generations do.
    ClaimWithoutCheck,
    /// A claim looks at the earlier shard of the same number alone.
    ClaimChecksItsNumber,
    /// A drained shard applies what arrives.
    DrainedApplies,
    /// Each generation knows its own outcomes only.
    DedupePerGeneration,
    /// A returned publish counts as stored.
    ReturnedIsStored,
    /// Everybody coordinates.
    NoLock,
    /// The row is read before the lock is taken.
    RowReadBeforeLock,
    /// A step begins whatever the row says.
    UpdatesWithoutCompare,
    /// A resize is taken back at any step before the flip.
    AbortWhileUnbinding,
    /// The number of an aborted generation is given out again, its queues with it.
    NumberGivenOutAgain,
}

impl Protocol {
    /// Every rule kept.
    pub const WHOLE: Self = Self {
        bounded: true,
        mistake: None,
    };

    /// That, but for one rule.
    #[must_use]
    pub const fn with(mistake: Mistake) -> Self {
        Self {
            mistake: Some(mistake),
            ..Self::WHOLE
        }
    }

    /// On a broker that may keep a command on its way for longer than both markers take.
    #[must_use]
    pub const fn unbounded(self) -> Self {
        Self {
            bounded: false,
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
    /// The number of shards of each generation, one after another.
    pub counts: Vec<usize>,
    /// The order of each command; its shard is this by the number of shards. A command is posted when those before it of the same order are
    /// accepted.
    pub orders: Vec<usize>,
    /// How many faults happen at most.
    pub faults: u8,
    /// How many resizes are taken back at most.
    pub aborts: u8,
}

impl Size {
    /// From one number of shards to the next, with two commands of this order.
    #[must_use]
    pub fn two_commands(counts: &[usize], order: usize) -> Self {
        Self {
            counts: counts.to_vec(),
            orders: vec![order; 2],
            faults: 0,
            aborts: 0,
        }
    }

    /// With one command instead of two.
    #[must_use]
    pub fn with_one_command(mut self) -> Self {
        self.orders.truncate(1);
        self
    }

    /// With so many faults and aborts.
    #[must_use]
    pub fn disturbed(self, faults: u8, aborts: u8) -> Self {
        Self {
            faults,
            aborts,
            ..self
        }
    }
}
