//! A resize keeps every promise, in every state of every size looked at.

use orderly_model::Progress;
use orderly_model::resize::promise::FORWARDS;
use orderly_model::resize::{Protocol, Resizing, Size, State};
use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Looks at every state twice: for the promises, and for whether everything gets done. Both must find the same `states`.
fn keeps_every_promise(states: usize, size: Size) {
    let model = Resizing {
        protocol: Protocol::WHOLE,
        size,
    };
    let checker = model
        .clone()
        .checker()
        .symmetry_fn(|state: &State| state.clone().whichever());
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_dfs().join();
    for promise in model.properties() {
        if promise.expectation == Expectation::Always && checker.discovery(promise.name).is_some() {
            tell_the_shortest_way(&model, promise.name);
        }
    }
    let progress = Progress::of(&model);
    assert_eq!(progress.states, checker.unique_state_count());
    assert_eq!(
        progress.states, states,
        "the README says how many there are"
    );
    assert_eq!(progress.stuck, None);
    assert!(!progress.endless, "a run need not end");
}

/// The first search keeps little and goes deep; this one is slower and meets the shortest way first.
fn tell_the_shortest_way(model: &Resizing, promise: &'static str) {
    let checker = model.clone().checker();
    let checker = checker.finish_when(HasDiscoveries::AnyOf([promise].into()));
    let way = checker.spawn_bfs().join().assert_any_discovery(promise);
    panic!("broken: {promise}\n{:#?}", way.into_actions());
}

#[test]
fn fewer_shards_and_a_fault() {
    keeps_every_promise(198_573, Size::two_commands(&[2, 1], 1).disturbed(1, 0));
}

#[test]
fn more_shards_and_a_fault() {
    keeps_every_promise(55_376, Size::two_commands(&[1, 2], 1).disturbed(1, 0));
}

#[test]
fn an_order_whose_shard_changes_its_number() {
    keeps_every_promise(204_043, Size::two_commands(&[2, 3], 2).disturbed(1, 0));
}

#[test]
fn two_orders_that_meet_in_one_shard() {
    keeps_every_promise(
        38_979,
        Size {
            orders: vec![0, 1, 0],
            ..Size::two_commands(&[2, 1], 0)
        },
    );
}

#[test]
fn two_resizes_one_after_the_other() {
    keeps_every_promise(30_133, Size::two_commands(&[1, 2, 1], 0).disturbed(0, 1));
}

/// Otherwise the promises could be kept because nothing ever went wrong.
#[test]
fn every_kind_of_trouble_is_met() {
    let met = |protocol: Protocol| {
        let size = Size::two_commands(&[1, 2], 1).disturbed(1, 0);
        let model = Resizing { protocol, size };
        let checker = model
            .clone()
            .checker()
            .symmetry_fn(|state: &State| state.clone().whichever());
        let checker = checker.spawn_dfs().join();
        let troubles = model.properties().into_iter();
        let troubles = troubles.filter(|p| p.expectation == Expectation::Sometimes);
        let (met, unmet): (Vec<_>, Vec<_>) = troubles
            .map(|trouble| trouble.name)
            .partition(|name| checker.discovery(name).is_some());
        assert!(!met.is_empty());
        unmet
    };
    assert_eq!(met(Protocol::WHOLE), [FORWARDS]);
    assert_eq!(met(Protocol::WHOLE.unbounded()), [""; 0]);
}
