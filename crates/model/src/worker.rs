//! One worker's subscription to the shard: what its process remembers.

use crate::{Delivery, Event};

/// How far a subscription is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// There is none.
    #[default]
    Away,
    /// It consumes, active or not: AMQP does not tell.
    Subscribed,
    /// It has claimed the shard.
    Owner {
        /// Its fence.
        epoch: u8,
    },
}

/// The channel that carries deliveries and acks, as the broker sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Link {
    /// None was opened, or it was closed.
    #[default]
    None,
    /// Open.
    Live,
    /// Gone, and the worker has not noticed.
    Lost,
}

/// Where a subscription is heading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Course {
    /// On.
    #[default]
    Going,
    /// To its end: the batch in hand and what is committed are finished first.
    Stopping,
    /// To its end: a publish or an ack has failed, and nothing more goes out.
    Failed,
}

/// What one transaction takes on.
pub type Batch = Vec<Delivery>;

/// How far the batch in hand is: the named steps of the code's `process`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// There is none.
    #[default]
    Idle,
    /// The shard's row is locked.
    Fenced {
        /// The batch.
        batch: Batch,
    },
    /// Outcomes and orders are read.
    Loaded {
        /// The batch.
        batch: Batch,
        /// How much of the log was there.
        snapshot: usize,
    },
    /// All is written, nothing committed.
    Written {
        /// The batch.
        batch: Batch,
        /// Done by an earlier delivery, to be published once more.
        again: Vec<Event>,
        /// Made by this batch.
        new: Vec<Event>,
    },
}

/// A committed batch in the hands of the finisher.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unfinished {
    /// Still to be published, one after the other.
    pub events: Vec<Event>,
    /// What to ack then, with all before it.
    pub through: Option<usize>,
}

/// A snapshot that was taken before it should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Early {
    /// How many deliveries its batch has.
    pub(crate) size: usize,
    /// How much of the log was there.
    pub(crate) snapshot: usize,
}

/// One worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    /// How far its subscription is.
    pub stage: Stage,
    /// The epoch it read.
    pub seen: Option<u8>,
    /// Its channel.
    pub link: Link,
    /// Where it is heading.
    pub course: Course,
    /// Delivered and not begun.
    pub intake: Vec<Delivery>,
    /// The batch in hand.
    pub step: Step,
    /// Committed and not acked, in order.
    pub unfinished: Vec<Unfinished>,
    pub(crate) early: Option<Early>,
}

/// Commands in a batch at most: two, so that a batch can fail, be cut and be redelivered in parts.
const BATCH_COMMANDS: usize = 2;

impl Worker {
    /// How many deliveries a batch begun now would take: all that have arrived, up to the limit.
    pub(crate) fn batch_size(&self) -> usize {
        self.intake.len().min(BATCH_COMMANDS)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.step == Step::Idle
    }

    pub(crate) fn is_going(&self) -> bool {
        self.course == Course::Going
    }

    /// Will begin no other batch. What has arrived is of no use to it any more.
    pub(crate) fn end(&mut self, course: Course) {
        self.course = self.course.max(course);
        self.intake.clear();
        self.early = None;
        if self.course == Course::Failed {
            self.unfinished.clear();
        }
    }

    /// Begins the batch in hand once more, later: it stands before what has arrived since.
    pub(crate) fn put_back(&mut self, mut batch: Batch) {
        if self.is_going() {
            batch.append(&mut self.intake);
            self.intake = batch;
        }
    }

    /// The batch in hand, which is no longer.
    pub(crate) fn drop_batch(&mut self) -> Batch {
        match std::mem::take(&mut self.step) {
            Step::Idle => Batch::new(),
            Step::Fenced { batch } | Step::Loaded { batch, .. } | Step::Written { batch, .. } => {
                batch
            }
        }
    }

    /// The finisher's next event, on its way.
    pub(crate) fn take_event(&mut self) -> Option<Event> {
        let events = &mut self.unfinished.first_mut()?.events;
        let next = (!events.is_empty()).then(|| events.remove(0));
        self.forget_finished();
        next
    }

    pub(crate) fn forget_finished(&mut self) {
        let done = |unfinished: &Unfinished| *unfinished == Unfinished::default();
        if self.unfinished.first().is_some_and(done) {
            self.unfinished.remove(0);
        }
    }
}
