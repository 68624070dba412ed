//! A model of how the number of shards changes while commands flow: the queues of two or three generations, what each node of the
//! broker knows of their bindings, the rows of generations and shards, and two processes that may coordinate. It owns the question
//! whether the steps of a resize, in their order, keep the order of commands; how one shard keeps it is the other model's.
//!
//! What stands for what:
//! - A shard's worker is whoever consumes its queue: one transaction after another, acks behind them. That a worker may be
//!   overtaken is the other model's; here a crash redelivers what was not acked.
//! - Bindings are a log that each node applies at its own pace. A node that lags, or is frozen, applies nothing for as long as
//!   it likes; a call returns when the node that it was made at has applied it.
//! - A publish is routed when it is sent: to send it later is the same as to have it routed later. From then on it is on its
//!   way, for any time, and is confirmed when it is stored.
//! - A publish that is returned, or fails, leaves nothing: that the ingress sends it again to the next generation is the same
//!   as that the producer does. An ingress that is cut off from Postgres, or hears late, does not load the layout.
//! - A frozen coordinator takes no step; [`Action::Cut`] takes its lock away meanwhile. It goes on with what it had in mind: its
//!   calls fail, its updates do not. A crash is a cut whose owner never goes on.
//! - The 10 s of `settling` are no step: queues here are never too young.

mod action;
mod apply;
mod broker;
mod possible;
pub mod promise;
mod protocol;
mod state;

pub use action::{Action, Place};
pub use broker::{Bindings, Change, Flight, Message, Node, Queue};
pub use protocol::{Mistake, Protocol, Size};
pub use state::{Coordinator, Generation, Link, Phase, Resize, Shard, State, Step};

use stateright::{Model, Property};

use crate::progress::Finishing;

/// Shards whose number changes under one protocol.
#[derive(Clone, Debug)]
pub struct Resizing {
    /// Its rules.
    pub protocol: Protocol,
    /// How much happens.
    pub size: Size,
}

impl Model for Resizing {
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
}

impl Finishing for Resizing {
    /// Everything is accepted, applied, told and acked, and no resize is open.
    fn is_finished(state: &State) -> bool {
        let mut shards = state.generations.iter().flat_map(|g| &g.shards);
        state.told.len() == state.accepted.len()
            && state.accepted.iter().all(|accepted| *accepted)
            && state.flights.is_empty()
            && shards.all(|shard| shard.queue.messages.is_empty())
            && state.open_resize().is_none()
    }

    fn is_fault(action: &Action) -> bool {
        action.is_fault()
    }

    fn canonical(state: State) -> State {
        state.whichever()
    }
}
