//! Random commands on several orders that share stock: whatever is sent, the books balance after every step.

mod step;
mod world;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use orderly_domain::{RejectionCode, Status};
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};

use step::{Step, step};
use world::{Answer, World};

/// Enough that every state, event and rejection is met many times; a few seconds of work.
const CASES: u32 = 256;

/// A state met less often than this many steps would as good as not have been met.
const OFTEN: u32 = 50;

/// What the random commands reached. A property that never meets a state says nothing about it.
#[derive(Default)]
struct Reached {
    states: BTreeMap<(Status, bool), u32>,
    events: BTreeSet<&'static str>,
    rejections: BTreeSet<RejectionCode>,
}

impl Reached {
    fn take(&mut self, answer: &Answer, world: &World) {
        match answer {
            Answer::Applied(event) => self.events.insert(event),
            Answer::Rejected(code) => self.rejections.insert(*code),
        };
        for order in world.orders() {
            *self.states.entry((order.status, order.held())).or_default() += 1;
        }
    }
}

#[test]
fn the_books_balance_whatever_is_sent() {
    let reached = RefCell::new(Reached::default());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let input = (vec(0..40_i64, world::SKUS.len()), vec(step(), 1..100));
    let result = TestRunner::new(config).run(&input, |(on_hand, steps)| {
        run(&on_hand, &steps, &mut reached.borrow_mut());
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }

    let reached = reached.into_inner();
    for status in Status::ALL {
        for held in [false, true] {
            let times = reached
                .states
                .get(&(status, held))
                .copied()
                .unwrap_or_default();
            let possible = !(held && status.is_final());
            assert_eq!(
                times > OFTEN,
                possible,
                "{status:?}, held {held}: {times} times"
            );
        }
    }
    assert_eq!(
        reached.events.len(),
        18,
        "every event happened: {:?}",
        reached.events
    );
    // The last four are a worker's answers to control commands.
    let unmet = [
        RejectionCode::LimitExceeded,
        RejectionCode::NotHead,
        RejectionCode::NotParked,
        RejectionCode::NotPaused,
        RejectionCode::OrderPaused,
    ];
    let rejections = RejectionCode::ALL
        .into_iter()
        .filter(|code| !unmet.contains(code));
    assert_eq!(
        reached.rejections,
        rejections.collect(),
        "every rejection was met"
    );
}

fn run(on_hand: &[i64], steps: &[Step], reached: &mut Reached) {
    let mut world = World::new(on_hand);
    for step in steps {
        let command = step.command(&world);
        let answer = world.send(&command);
        world.check_books();
        reached.take(&answer, &world);
    }
    world.check_replay();
}
