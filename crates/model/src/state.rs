//! Everything that is there at one moment.

use crate::{Database, Queue, Size, Worker};

/// One of the workers. One that starts again after a crash keeps its letter and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// The one.
    A,
    /// Another.
    B,
    /// A third, if there are three.
    C,
}

impl Who {
    /// All that there may be.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// Every way to give the letters out anew; those of two workers first.
    const NAMES: [Names; 6] = [
        [Self::A, Self::B, Self::C],
        [Self::B, Self::A, Self::C],
        [Self::A, Self::C, Self::B],
        [Self::B, Self::C, Self::A],
        [Self::C, Self::A, Self::B],
        [Self::C, Self::B, Self::A],
    ];

    pub(crate) const fn renamed(self, names: Names) -> Self {
        names[self as usize]
    }
}

/// The new letter of each worker.
pub(crate) type Names = [Who; 3];

/// What an applied command leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event {
    /// The command that made it.
    pub command: u8,
    /// Its order.
    pub order: u8,
    /// The order's version with it.
    pub version: u8,
}

impl Event {
    /// Would one unique index refuse the two of them?
    pub(crate) fn collides(self, other: Self) -> bool {
        self.command == other.command || (self.order, self.version) == (other.order, other.version)
    }
}

/// The stream of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    /// The first copy of each event, in order.
    pub first: Vec<Event>,
    /// Published, never confirmed to anybody: each arrives at some time, or never.
    pub late: Vec<Event>,
}

impl Stream {
    pub(crate) fn store(&mut self, event: Event) {
        if !self.first.contains(&event) {
            self.first.push(event);
        }
    }
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// The shard's queue, at the broker.
    pub queue: Queue,
    /// Postgres.
    pub database: Database,
    /// The stream, at the broker.
    pub stream: Stream,
    /// The workers.
    pub workers: Vec<Worker>,
    /// Faults that may still happen.
    pub faults: u8,
    /// Moves that may still happen.
    pub moves: u8,
}

impl State {
    pub(crate) fn at_first(size: &Size) -> Self {
        Self {
            queue: Queue::holding(size.accepted.len(), size.workers),
            database: Database::default(),
            stream: Stream::default(),
            workers: vec![Worker::default(); size.workers],
            faults: size.faults,
            moves: size.moves,
        }
    }

    /// All workers.
    pub fn everybody(&self) -> impl Iterator<Item = Who> {
        Who::ALL.into_iter().take(self.workers.len())
    }

    /// One of the workers.
    #[must_use]
    pub fn worker(&self, who: Who) -> &Worker {
        &self.workers[who as usize]
    }

    pub(crate) fn worker_mut(&mut self, who: Who) -> &mut Worker {
        &mut self.workers[who as usize]
    }

    /// Leaves out what can make no difference any more, and the order of what has none: otherwise the same situation would
    /// be looked at many times.
    pub(crate) fn tidy(&mut self, claims_compare: bool) {
        let Stream { first, late } = &mut self.stream;
        late.retain(|event| !first.contains(event));
        late.sort_unstable();
        late.dedup();
        if claims_compare {
            self.database.forget_vain_claims();
        }
        self.database.unanswered.sort_unstable();
    }

    /// The same situation for somebody who does not care which worker is which: with the workers sorted.
    #[must_use]
    pub fn whoever(&self) -> Self {
        let ways: usize = (1..=self.workers.len()).product();
        let sorts = |names: &Names| {
            let mut sorted = [None; 3];
            for who in self.everybody() {
                sorted[who.renamed(*names) as usize] = Some(self.worker(who));
            }
            sorted.iter().flatten().is_sorted()
        };
        let sorting = Who::NAMES.into_iter().take(ways).filter(sorts);
        let renamed = sorting.map(|names| self.renamed(names));
        // One way at least sorts them.
        renamed.min().unwrap_or_else(|| self.clone())
    }

    fn renamed(&self, names: Names) -> Self {
        let mut state = self.clone();
        for who in self.everybody() {
            *state.worker_mut(who.renamed(names)) = self.worker(who).clone();
        }
        state.queue.rename(names);
        state.database.rename(names);
        state
    }
}
