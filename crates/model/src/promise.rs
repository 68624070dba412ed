//! What must hold in every state, and what must happen in some, so that the first is not true for want of trouble.

use std::collections::BTreeSet;

use stateright::Property;

use crate::possible::ready_to_claim;
use crate::worker::{Stage, Step};
use crate::{Event, Shard, State, Unanswered};

/// No command id has two effects.
pub const ONE_EFFECT: &str = "a command has one effect";
/// No update of an order is lost.
pub const VERSIONS: &str = "an order's versions are 1, 2, 3";
/// Per order, first effects come in the order in which the commands were first accepted.
pub const ORDER: &str = "effects come in the order of the queue";
/// Per order, the first copies of events come in the order of versions, without a gap.
pub const STREAM: &str = "first copies come in the order of versions";
/// The stream tells nothing that did not happen.
pub const COMMITTED: &str = "no event without its commit";
/// The unacked delivery is the outbox.
pub const ACKED: &str = "nothing is acked before it is committed and published";
/// A transaction behind an epoch that is over writes nothing.
pub const ZOMBIE: &str = "a zombie commits nothing";
/// The constraints of the database never have to refuse a write: the layers before them leave them nothing to do.
pub const SECOND_LINE: &str = "no constraint has to refuse";
/// From every state, without another fault, everything can be applied, published and acked. [`crate::Progress`] looks at it.
pub const FINISHES: &str = "everything can still be finished";

pub(crate) fn all() -> Vec<Property<Shard>> {
    vec![
        Property::always(ONE_EFFECT, one_effect),
        Property::always(VERSIONS, versions),
        Property::always(ORDER, order),
        Property::always(STREAM, stream),
        Property::always(COMMITTED, committed),
        Property::always(ACKED, acked),
        Property::always(ZOMBIE, no_stale_commit),
        Property::always(SECOND_LINE, no_refusal),
        Property::sometimes("everything is acked", all_is_acked),
        Property::sometimes("a zombie wants to write", zombie_wants_to_write),
        Property::sometimes("a claim waits for a batch in flight", claim_waits),
        Property::sometimes("a claim comes too late", claim_comes_too_late),
        Property::sometimes(
            "a lost COMMIT is still under way at a redelivery",
            lost_commit,
        ),
        Property::sometimes("a redelivery finds its command done", redelivery_finds_done),
        Property::sometimes("a retry by the producer is delivered", retry_is_delivered),
        Property::sometimes("an event may arrive late", event_is_late),
        Property::sometimes("confirms overlap the next transaction", overlaps),
    ]
}

fn one_effect(_: &Shard, state: &State) -> bool {
    let log = &state.database.log;
    let commands: BTreeSet<u8> = log.iter().map(|event| event.command).collect();
    commands.len() == log.len()
}

fn versions(shard: &Shard, state: &State) -> bool {
    counts_from_one(shard, &state.database.log)
}

fn stream(shard: &Shard, state: &State) -> bool {
    counts_from_one(shard, &state.stream.first)
}

fn counts_from_one(shard: &Shard, events: &[Event]) -> bool {
    orders(shard).into_iter().all(|order| {
        let of_it = events.iter().filter(|event| event.order == order);
        of_it.zip(1..).all(|(event, due)| event.version == due)
    })
}

fn order(shard: &Shard, state: &State) -> bool {
    orders(shard).into_iter().all(|order| {
        let of_it = state.database.log.iter().filter(|e| e.order == order);
        let places: Vec<usize> = of_it
            .filter_map(|e| first_place(shard, e.command))
            .collect();
        let mut first = Vec::new();
        for place in places {
            if !first.contains(&place) {
                first.push(place);
            }
        }
        first.is_sorted()
    })
}

fn committed(_: &Shard, state: &State) -> bool {
    let log = &state.database.log;
    state.stream.first.iter().all(|event| log.contains(event))
}

fn acked(shard: &Shard, state: &State) -> bool {
    let places = state.queue.acked.iter().zip(&shard.size.accepted);
    let mut done = places.filter_map(|(acked, command)| acked.then_some(command.id));
    done.all(|id| {
        let mut log = state.database.log.iter();
        log.any(|event| event.command == id && state.stream.first.contains(event))
    })
}

fn no_stale_commit(_: &Shard, state: &State) -> bool {
    !state.database.stale_commit
}

fn no_refusal(_: &Shard, state: &State) -> bool {
    !state.database.refused
}

fn all_is_acked(_: &Shard, state: &State) -> bool {
    state.queue.is_done()
}

fn event_is_late(_: &Shard, state: &State) -> bool {
    !state.stream.late.is_empty()
}

fn zombie_wants_to_write(_: &Shard, state: &State) -> bool {
    state.workers.iter().any(|worker| {
        let over = matches!(worker.stage, Stage::Owner { epoch } if epoch < state.database.epoch);
        over && worker.is_going() && !worker.intake.is_empty()
    })
}

fn claim_waits(shard: &Shard, state: &State) -> bool {
    shard.row_is_locked(state) && state.workers.iter().any(ready_to_claim)
}

fn claim_comes_too_late(_: &Shard, state: &State) -> bool {
    let over = |seen: u8| seen < state.database.epoch;
    let mut claiming = state.workers.iter().filter(|worker| ready_to_claim(worker));
    claiming.any(|worker| worker.seen.is_some_and(over))
}

fn lost_commit(shard: &Shard, state: &State) -> bool {
    let delivered = |event: &Event| {
        let again = |who| {
            let mut intake = state.worker(who).intake.iter();
            intake.any(|d| d.redelivered && shard.size.accepted[d.place].id == event.command)
        };
        state.everybody().any(again)
    };
    state.database.unanswered.iter().any(|statement| {
        matches!(statement, Unanswered::Commit { events, .. } if events.iter().any(delivered))
    })
}

fn redelivery_finds_done(_: &Shard, state: &State) -> bool {
    let mut steps = state.workers.iter().map(|worker| &worker.step);
    steps.any(|step| matches!(step, Step::Written { again, .. } if !again.is_empty()))
}

fn retry_is_delivered(shard: &Shard, state: &State) -> bool {
    let mut deliveries = state.workers.iter().flat_map(|worker| &worker.intake);
    deliveries.any(|delivery| {
        let command = shard.size.accepted[delivery.place];
        first_place(shard, command.id) != Some(delivery.place)
    })
}

fn overlaps(_: &Shard, state: &State) -> bool {
    let mut workers = state.workers.iter();
    workers.any(|worker| !worker.unfinished.is_empty() && !worker.is_idle())
}

fn orders(shard: &Shard) -> BTreeSet<u8> {
    let accepted = shard.size.accepted.iter();
    accepted.map(|command| command.order).collect()
}

fn first_place(shard: &Shard, id: u8) -> Option<usize> {
    let mut accepted = shard.size.accepted.iter();
    accepted.position(|command| command.id == id)
}
