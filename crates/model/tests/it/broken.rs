//! One rule taken away at a time: which promises break, found by looking at every state. A promise that nothing breaks
//! would say nothing, so the last test wants each broken by somebody.

use std::collections::BTreeSet;

use orderly_model::promise::{
    ACKED, COMMITTED, FINISHES, ONE_EFFECT, ORDER, SECOND_LINE, STREAM, VERSIONS, ZOMBIE,
};
use orderly_model::{Layers, Mistake, Progress, Protocol, Shard, Size, State};
use stateright::{Checker, Expectation, Model};

/// A protocol that lacks something, and every promise it breaks.
struct Broken {
    /// As the table in the crate's README says it.
    without: &'static str,
    protocol: Protocol,
    breaks: &'static [&'static str],
}

const LAYERS: Layers = Protocol::AS_BUILT.layers;

const BROKEN: [Broken; 22] = [
    Broken {
        without: "single active consumer",
        protocol: Protocol::on(Layers {
            single_active_consumer: false,
            ..LAYERS
        }),
        breaks: &[ORDER, STREAM],
    },
    Broken {
        without: "epoch fence",
        protocol: Protocol::on(Layers {
            epoch_fence: false,
            ..LAYERS
        }),
        breaks: &[STREAM, ZOMBIE, SECOND_LINE],
    },
    Broken {
        without: "epoch fence and constraints",
        protocol: Protocol::on(Layers {
            epoch_fence: false,
            ..LAYERS
        })
        .without_constraints(),
        breaks: &[ONE_EFFECT, VERSIONS, STREAM, ZOMBIE],
    },
    Broken {
        without: "dedupe",
        protocol: Protocol::on(Layers {
            dedupe: false,
            ..LAYERS
        }),
        breaks: &[SECOND_LINE, FINISHES],
    },
    Broken {
        without: "dedupe and constraints",
        protocol: Protocol::on(Layers {
            dedupe: false,
            ..LAYERS
        })
        .without_constraints(),
        breaks: &[ONE_EFFECT, STREAM],
    },
    Broken {
        without: "constraints",
        protocol: Protocol::AS_BUILT.without_constraints(),
        breaks: &[],
    },
    Broken {
        without: "the lock in the fence: it only looks",
        protocol: Protocol::with(Mistake::FenceWithoutLock),
        breaks: &[STREAM, ZOMBIE, SECOND_LINE],
    },
    Broken {
        without: "compare in the claim",
        protocol: Protocol::with(Mistake::ClaimWithoutCompare),
        breaks: &[STREAM],
    },
    Broken {
        without: "the epoch read before subscribing: it is read after",
        protocol: Protocol::with(Mistake::EpochReadAfterSubscribing),
        breaks: &[STREAM],
    },
    Broken {
        without: "a snapshot behind the fence: it is older than the lock",
        protocol: Protocol::with(Mistake::SnapshotBeforeFence),
        breaks: &[],
    },
    Broken {
        without: "that, and constraints",
        protocol: Protocol::with(Mistake::SnapshotBeforeFence).without_constraints(),
        breaks: &[],
    },
    Broken {
        without: "a snapshot behind the claim: the first is older than the claim",
        protocol: Protocol::with(Mistake::SnapshotBeforeClaim),
        breaks: &[SECOND_LINE],
    },
    Broken {
        without: "that one, and constraints",
        protocol: Protocol::with(Mistake::SnapshotBeforeClaim).without_constraints(),
        breaks: &[ONE_EFFECT, VERSIONS],
    },
    Broken {
        without: "publish after commit: it comes before",
        protocol: Protocol::with(Mistake::PublishBeforeCommit),
        breaks: &[COMMITTED],
    },
    Broken {
        without: "ack after commit: it comes before",
        protocol: Protocol::with(Mistake::AckBeforeCommit),
        breaks: &[STREAM, ACKED],
    },
    Broken {
        without: "ack after publish: it comes before",
        protocol: Protocol::with(Mistake::AckBeforePublish),
        breaks: &[STREAM, ACKED],
    },
    Broken {
        without: "publishing again what a redelivery finds done",
        protocol: Protocol::with(Mistake::DoneIsNotRepublished),
        breaks: &[STREAM, ACKED],
    },
    Broken {
        without: "publishing that before what is new: it comes after",
        protocol: Protocol::with(Mistake::DoneIsRepublishedLast),
        breaks: &[STREAM],
    },
    Broken {
        without: "redelivery after a lost COMMIT: the batch runs again in place",
        protocol: Protocol::with(Mistake::LostCommitRunAgain),
        breaks: &[STREAM, ACKED, SECOND_LINE],
    },
    Broken {
        without: "an end after a lost publish: the next goes out",
        protocol: Protocol::with(Mistake::LostPublishPassedOver),
        breaks: &[STREAM, ACKED],
    },
    Broken {
        without: "hand-over by close: the consumer is cancelled first",
        protocol: Protocol::with(Mistake::ConsumerCancelled),
        breaks: &[ORDER, STREAM],
    },
    Broken {
        without: "return to its place: what comes back goes to the end",
        protocol: Protocol::with(Mistake::ReturnedToTheEnd),
        breaks: &[ORDER, STREAM],
    },
];

impl Broken {
    fn shard(&self) -> Shard {
        Shard {
            protocol: self.protocol,
            size: Size::one_order(2, None).disturbed(1, 1).up_to_epoch(4),
        }
    }

    /// Every promise that some state breaks.
    fn broken(&self) -> BTreeSet<&'static str> {
        let shard = self.shard();
        let checker = shard.clone().checker().symmetry_fn(State::whoever);
        let checker = checker.spawn_dfs().join();
        assert!(checker.is_done());
        let mut broken = BTreeSet::new();
        for promise in shard.properties() {
            let never_to_be_found = promise.expectation == Expectation::Always;
            if never_to_be_found && checker.discovery(promise.name).is_some() {
                broken.insert(promise.name);
            }
        }
        if Progress::of(&shard).stuck.is_some() {
            broken.insert(FINISHES);
        }
        broken
    }
}

/// Which rows of the table a test looks at: two tests, since tests run side by side.
fn each_breaks_what_it_says<'a>(rows: impl Iterator<Item = &'a Broken>) {
    for row in rows {
        let expected: BTreeSet<_> = row.breaks.iter().copied().collect();
        assert_eq!(row.broken(), expected, "without {}", row.without);
    }
}

#[test]
fn every_missing_layer_breaks_what_the_table_says() {
    each_breaks_what_it_says(BROKEN.iter().filter(|row| row.protocol.mistake.is_none()));
}

#[test]
fn every_mistake_breaks_what_the_table_says() {
    each_breaks_what_it_says(BROKEN.iter().filter(|row| row.protocol.mistake.is_some()));
}

#[test]
fn every_promise_is_broken_by_somebody() {
    let promises = BROKEN[0].shard().properties();
    let promises = promises
        .into_iter()
        .filter(|p| p.expectation == Expectation::Always);
    let mut unbroken: BTreeSet<_> = promises.map(|promise| promise.name).collect();
    unbroken.insert(FINISHES);
    for row in &BROKEN {
        for promise in row.breaks {
            unbroken.remove(promise);
        }
    }
    assert_eq!(unbroken, BTreeSet::new());
}

#[test]
fn the_readme_has_the_table() {
    let readme = include_str!("../../README.md");
    for row in &BROKEN {
        let breaks = match row.breaks {
            [] => "nothing".to_owned(),
            breaks => breaks.join("; "),
        };
        let line = format!("| {} | {breaks} |", row.without);
        assert!(readme.contains(&line), "missing in README.md: {line}");
    }
}
