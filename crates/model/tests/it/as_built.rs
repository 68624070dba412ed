//! The protocol as it is built keeps every promise, in every state of every size looked at.

use orderly_model::{Command, Progress, Protocol, Shard, Size, State};
use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Looks at every state twice: for the promises, and for whether everything gets done. Both must find the same `states`.
fn keeps_every_promise(states: usize, size: Size) {
    let shard = Shard {
        protocol: Protocol::AS_BUILT,
        size,
    };
    let checker = shard.clone().checker().symmetry_fn(State::whoever);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_dfs().join();
    for promise in shard.properties() {
        if promise.expectation == Expectation::Always && checker.discovery(promise.name).is_some() {
            tell_the_shortest_way(&shard, promise.name);
        }
    }
    let progress = Progress::of(&shard);
    assert_eq!(progress.states, checker.unique_state_count());
    assert_eq!(
        progress.states, states,
        "the README says how many there are"
    );
    assert_eq!(progress.stuck, None);
    assert!(!progress.endless, "a run need not end");
    assert!(!progress.cut_off, "not every state was looked at");
}

/// The first search keeps little and goes deep; this one is slower and meets the shortest way first.
fn tell_the_shortest_way(shard: &Shard, promise: &'static str) {
    let checker = shard.clone().checker();
    let checker = checker.finish_when(HasDiscoveries::AnyOf([promise].into()));
    let way = checker.spawn_bfs().join().assert_any_discovery(promise);
    panic!("broken: {promise}\n{:#?}", way.into_actions());
}

#[test]
fn two_workers_with_a_retry_and_two_faults() {
    keeps_every_promise(216_040, Size::one_order(2, Some(1)).disturbed(2, 0));
}

#[test]
fn two_workers_that_are_moved_amid_two_faults() {
    keeps_every_promise(192_726, Size::one_order(2, None).disturbed(2, 1));
}

#[test]
fn two_workers_and_a_longer_queue() {
    keeps_every_promise(88_973, Size::one_order(3, Some(1)).disturbed(1, 0));
}

#[test]
fn two_workers_and_two_orders() {
    let accepted = [(1, 0), (2, 1), (3, 0)].map(|(id, order)| Command { id, order });
    keeps_every_promise(
        150_392,
        Size {
            accepted: accepted.to_vec(),
            ..Size::one_order(0, None).disturbed(1, 1)
        },
    );
}

#[test]
fn three_workers_of_which_two_are_overtaken() {
    keeps_every_promise(
        344_335,
        Size::one_order(2, None)
            .with_three_workers()
            .disturbed(2, 0),
    );
}

/// Otherwise the promises could be kept because nothing ever went wrong.
#[test]
fn every_kind_of_trouble_is_met() {
    let shard = Shard {
        protocol: Protocol::AS_BUILT,
        size: Size::one_order(2, Some(1)).disturbed(1, 1),
    };
    let checker = shard.checker().symmetry_fn(State::whoever);
    checker.spawn_dfs().join().assert_properties();
}
