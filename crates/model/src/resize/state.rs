//! Everything that is there at one moment.

use super::{Bindings, Flight, Node, Place, Queue, Size};

/// What a generation is, as its row has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Its queues are being made.
    Prepared,
    /// It takes commands.
    Current,
    /// It takes no more, and applies what it has.
    Draining,
    /// Every shard met its markers.
    Drained,
    /// It never took commands.
    Aborted,
}

/// How far a resize has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Somebody asked for it.
    Requested,
    /// The new queues are declared and bound.
    Declaring,
    /// They are there.
    Settling,
    /// The old queues are unbound, and every node is probed: no way back.
    Unbinding,
    /// The new generation is current.
    Flipped,
    /// Marker 1 goes out.
    Marking,
    /// Marker 2 goes out.
    Draining,
    /// Every old shard is drained.
    Done,
    /// Taken back.
    Aborted,
}

/// A shard: its queue at the broker, and its row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    /// Its queue.
    pub queue: Queue,
    /// Was it ever claimed?
    pub claimed: bool,
    /// Has it met marker 1?
    pub marked: bool,
    /// Has it met marker 2?
    pub drained: bool,
}

/// A generation of shards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation {
    /// Its state.
    pub phase: Phase,
    /// Was it ever aborted? For the promise about those.
    pub was_aborted: bool,
    /// Its shards.
    pub shards: Vec<Shard>,
}

/// A row of `resizes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resize {
    /// The generation that ends.
    pub from: usize,
    /// The one that begins.
    pub to: usize,
    /// How far it has come.
    pub step: Step,
}

/// What a coordinator's connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Link {
    /// There is none.
    #[default]
    None,
    /// It holds the lock.
    Live,
    /// The broker has given it up, and the coordinator does not know.
    Lost,
}

/// A worker process as a coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coordinator {
    /// Its connection.
    pub link: Link,
    /// The resize whose row it has read, and the step that it read or took.
    pub seen: Option<(usize, Step)>,
    /// How much of the step's work is done.
    pub done: usize,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// Which commands were answered with 202.
    pub accepted: Vec<bool>,
    /// The generation that the ingress at each node knows.
    pub layouts: [usize; 2],
    /// Messages on their way, in no order.
    pub flights: Vec<Flight>,
    /// What the broker's nodes know.
    pub bindings: Bindings,
    /// The generations.
    pub generations: Vec<Generation>,
    /// The resizes.
    pub resizes: Vec<Resize>,
    /// The process at each node.
    pub coordinators: [Coordinator; 2],
    /// Committed effects, in order, and the generation that each is of.
    pub applied: Vec<(usize, usize)>,
    /// First copies of their events, in order.
    pub told: Vec<usize>,
    /// For a promise: was a command applied by a drained shard?
    pub applied_drained: bool,
    /// For a promise: was a command stored behind marker 2 and accepted?
    pub accepted_behind: bool,
    /// Faults that may still happen.
    pub faults: u8,
    /// Aborts that may still happen.
    pub aborts: u8,
}

impl State {
    pub(crate) fn at_first(size: &Size) -> Self {
        let mut state = Self {
            accepted: vec![false; size.orders.len()],
            layouts: [0; 2],
            flights: Vec::new(),
            bindings: Bindings::default(),
            generations: Vec::new(),
            resizes: Vec::new(),
            coordinators: [Coordinator::default(); 2],
            applied: Vec::new(),
            told: Vec::new(),
            applied_drained: false,
            accepted_behind: false,
            faults: size.faults,
            aborts: size.aborts,
        };
        state.add_generation(Phase::Current, size.counts[0]);
        for shard in 0..size.counts[0] {
            let place = Place {
                generation: 0,
                shard,
            };
            for node in Node::ALL {
                state.bindings.change(node, place, true);
            }
        }
        state
    }

    pub(crate) fn add_generation(&mut self, phase: Phase, shards: usize) {
        self.generations.push(Generation {
            phase,
            was_aborted: false,
            shards: vec![Shard::default(); shards],
        });
    }

    /// The generation that takes commands.
    #[must_use]
    pub fn current(&self) -> Option<usize> {
        let mut generations = self.generations.iter();
        generations.position(|generation| generation.phase == Phase::Current)
    }

    /// The resize that is open.
    #[must_use]
    pub fn open_resize(&self) -> Option<usize> {
        let mut resizes = self.resizes.iter();
        resizes.position(|resize| !matches!(resize.step, Step::Done | Step::Aborted))
    }

    /// A shard.
    #[must_use]
    pub fn shard(&self, place: Place) -> &Shard {
        &self.generations[place.generation].shards[place.shard]
    }

    pub(crate) fn shard_mut(&mut self, place: Place) -> &mut Shard {
        &mut self.generations[place.generation].shards[place.shard]
    }

    /// Every shard of a generation.
    pub fn places(&self, generation: usize) -> impl Iterator<Item = Place> + use<> {
        let shards = 0..self.generations[generation].shards.len();
        shards.map(move |shard| Place { generation, shard })
    }

    /// Where commands of `order` go in a generation.
    #[must_use]
    pub fn place_of(&self, order: usize, generation: usize) -> Place {
        let shard = order % self.generations[generation].shards.len();
        Place { generation, shard }
    }

    /// The same situation for somebody who does not care which node is which.
    #[must_use]
    pub fn whichever(self) -> Self {
        let mut swapped = self.clone();
        swapped.layouts.reverse();
        swapped.bindings.applied.reverse();
        swapped.coordinators.reverse();
        for flight in &mut swapped.flights {
            flight.from = flight.from.map(Node::other);
        }
        swapped.flights.sort_unstable();
        self.min(swapped)
    }
}
