//! What must hold in every state, and what must happen in some, so that the first is not true for want of trouble.

use std::collections::BTreeSet;

use stateright::Property;

use super::{Link, Message, Node, Phase, Resizing, Shard, State, Step};

/// No command id has two effects, in whichever generations it was stored.
pub const ONE_EFFECT: &str = "a command has one effect";
/// What was posted after the 202 of another of its order is applied after it.
pub const ORDER: &str = "effects come in the order of acceptance";
/// The same of the first copies of events.
pub const STREAM: &str = "first copies come in the order of acceptance";
/// What was accepted is in a queue until it is applied and its event is out.
pub const KEPT: &str = "nothing accepted is lost";
/// Shards of two generations that share an order are never both at work.
pub const ALONE: &str = "one generation of an order is at work";
/// What is drained stays as it is.
pub const DRAINED: &str = "a drained shard applies nothing";
/// Marker 2 is the end of its queue.
pub const BEHIND: &str = "nothing is accepted behind marker 2";
/// No command goes to a generation that was aborted.
pub const ABORTED: &str = "an aborted generation gets nothing";
/// What needs forwarding. There is nothing of the kind as long as the broker keeps its pace.
pub const FORWARDS: &str = "a drained shard has something to forward";
/// From every state, without another fault, everything can be accepted, applied and acked, and the resize be done. [`crate::Progress`]
/// looks at it.
pub const FINISHES: &str = "everything can still be finished";

pub(crate) fn all() -> Vec<Property<Resizing>> {
    vec![
        Property::always(ONE_EFFECT, one_effect),
        Property::always(ORDER, order),
        Property::always(STREAM, stream),
        Property::always(KEPT, kept),
        Property::always(ALONE, alone),
        Property::always(DRAINED, |_, state: &State| !state.applied_drained),
        Property::always(BEHIND, |_, state: &State| !state.accepted_behind),
        Property::always(ABORTED, aborted),
        Property::sometimes("both generations hold an accepted command", both_hold),
        Property::sometimes(
            "an ingress is stale and its node returns everything",
            returned,
        ),
        Property::sometimes("a node still routes to what is unbound", lags),
        Property::sometimes("a marker has overtaken a command", overtaken),
        Property::sometimes(
            "an overtaken coordinator wants to update the row",
            overtakes,
        ),
        Property::sometimes("a shard meets a marker twice", marked_twice),
        Property::sometimes(FORWARDS, forwards),
        Property::sometimes("a resize is done", |_, state: &State| {
            state.resizes.iter().any(|resize| resize.step == Step::Done)
        }),
    ]
}

fn one_effect(_: &Resizing, state: &State) -> bool {
    let commands: BTreeSet<_> = state.applied.iter().map(|(command, _)| command).collect();
    commands.len() == state.applied.len()
}

fn order(model: &Resizing, state: &State) -> bool {
    let applied: Vec<usize> = state.applied.iter().map(|(command, _)| *command).collect();
    follows(model, &applied)
}

fn stream(model: &Resizing, state: &State) -> bool {
    follows(model, &state.told)
}

/// Commands of an order are numbered as they are posted. A second effect of one is another promise.
fn follows(model: &Resizing, commands: &[usize]) -> bool {
    let orders = &model.size.orders;
    let mut later = commands.iter().enumerate();
    later.all(|(at, command)| {
        let mut before = (0..*command).filter(|earlier| orders[*earlier] == orders[*command]);
        before.all(|earlier| commands[..at].contains(&earlier))
    })
}

fn kept(_: &Resizing, state: &State) -> bool {
    let mut accepted = (0..state.accepted.len()).filter(|command| state.accepted[*command]);
    accepted.all(|command| {
        let mut shards = state.generations.iter().flat_map(|g| &g.shards);
        let waits = |message: &Message| message.command() == Some(command);
        state.told.contains(&command) || shards.any(|s| s.queue.messages.iter().any(waits))
    })
}

fn alone(model: &Resizing, state: &State) -> bool {
    model.size.orders.iter().all(|order| {
        let generations = 0..state.generations.len();
        let shards = generations.map(|g| state.shard(state.place_of(*order, g)));
        shards.filter(|s| s.claimed && !s.drained).count() <= 1
    })
}

fn aborted(_: &Resizing, state: &State) -> bool {
    let mut generations = state.generations.iter().enumerate();
    generations.all(|(number, generation)| {
        let flies = || state.flights.iter().any(|f| f.place.generation == number);
        let mut messages = generation.shards.iter().flat_map(|s| &s.queue.messages);
        !generation.was_aborted || !(flies() || messages.any(|message| message.command().is_some()))
    })
}

fn both_hold(_: &Resizing, state: &State) -> bool {
    let holds = |shard: &Shard| {
        let mut messages = shard.queue.messages.iter();
        messages.any(|m| m.command().is_some_and(|command| state.accepted[command]))
    };
    let holding = state.generations.iter();
    holding.filter(|g| g.shards.iter().any(holds)).count() > 1
}

fn returned(_: &Resizing, state: &State) -> bool {
    Node::ALL.into_iter().any(|node| {
        let known = state.layouts[node as usize];
        let mut places = state.places(known);
        state.current() != Some(known) && places.all(|place| !state.bindings.leads(node, place))
    })
}

fn lags(_: &Resizing, state: &State) -> bool {
    let [one, other] = Node::ALL;
    let mut places = state.places(0);
    places.any(|place| state.bindings.leads(one, place) != state.bindings.leads(other, place))
}

fn overtaken(_: &Resizing, state: &State) -> bool {
    state.flights.iter().any(|flight| flight.due)
}

fn overtakes(_: &Resizing, state: &State) -> bool {
    state.coordinators.iter().any(|coordinator| {
        let moved = |(index, step): (usize, Step)| state.resizes[index].step != step;
        coordinator.link == Link::Lost && coordinator.seen.is_some_and(moved)
    })
}

fn marked_twice(_: &Resizing, state: &State) -> bool {
    let mut shards = state.generations.iter().flat_map(|g| &g.shards);
    shards.any(|shard| {
        (shard.marked && shard.queue.next() == Some(Message::First))
            || (shard.drained && shard.queue.next() == Some(Message::Second))
    })
}

fn forwards(_: &Resizing, state: &State) -> bool {
    let ending = state
        .generations
        .iter()
        .filter(|g| g.phase != Phase::Current);
    let mut shards = ending.flat_map(|g| &g.shards);
    shards.any(|s| s.drained && s.queue.next().and_then(Message::command).is_some())
}
