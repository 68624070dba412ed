//! A model of how one shard stays in order: queue, shard row, stream and two or three workers, small enough that every state they
//! can get into together is looked at. It owns the question whether the protocol is right; whether the code keeps to the
//! protocol is asked by the tests of broker, store and worker.
//!
//! Module [`resize`] is another model, of how their number changes.
//!
//! What stands for what:
//! - All commands are accepted at the start. When one arrives makes a difference only through when it is delivered, and a
//!   delivery happens at any time here.
//! - A wait is a step that is not possible yet: a claim while a batch holds the shard's row, a write while another
//!   transaction holds the same keys.
//! - A frozen process is a worker that takes no step for as long as it likes; [`Action::Cut`] lets the broker take its
//!   deliveries away meanwhile. One that never wakes up is a crash: Postgres ends its session either way.
//! - What nobody else can see has no step of its own: `decide` happens within [`Action::Write`].
//! - A request whose answer is lost goes on without its sender, and takes effect at any later time or never.
//! - Every command is applied and makes one event. What is decided does not matter here, only from what.
//! - Of the stream only the first copy of each event is kept: the promise is about first copies.

mod action;
mod apply;
mod database;
mod possible;
mod progress;
pub mod promise;
mod protocol;
mod queue;
pub mod resize;
mod state;
mod worker;

pub use action::{Action, InFlight};
pub use database::{Database, Unanswered};
pub use progress::{Finishing, Progress};
pub use protocol::{Command, Layers, Mistake, Protocol, Size};
pub use queue::{Delivery, Queue};
pub use state::{Event, State, Stream, Who};
pub use worker::{Batch, Course, Link, Stage, Step, Unfinished, Worker};

use stateright::{Model, Property};

/// One shard under one protocol.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its rules.
    pub protocol: Protocol,
    /// How much happens to it.
    pub size: Size,
}

impl Model for Shard {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::at_first(&self.size)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.apply(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promise::all()
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.database.epoch <= self.size.epochs
    }
}
