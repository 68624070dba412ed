//! One rule of a resize taken away at a time: which promises break, found by looking at every state. A promise that nothing
//! breaks would say nothing, so a test wants each broken by somebody.

use std::collections::BTreeSet;

use orderly_model::Progress;
use orderly_model::resize::promise::{
    ABORTED, ALONE, BEHIND, DRAINED, FINISHES, KEPT, ONE_EFFECT, ORDER, STREAM,
};
use orderly_model::resize::{Mistake, Protocol, Resizing, Size, State};
use stateright::{Checker, Expectation, Model};

/// A protocol that lacks something, and every promise it breaks.
struct Broken {
    /// As the table in the crate's README says it.
    without: &'static str,
    protocol: Protocol,
    breaks: &'static [&'static str],
}

const BROKEN: [Broken; 22] = [
    Broken {
        without: "unbinding before the flip: it comes after",
        protocol: Protocol::with(Mistake::FlipBeforeUnbinding),
        breaks: &[ORDER, STREAM],
    },
    Broken {
        without: "probes",
        protocol: Protocol::with(Mistake::NoProbes),
        breaks: &[ORDER, STREAM, BEHIND],
    },
    Broken {
        without: "probes on every node: the coordinator's own is probed",
        protocol: Protocol::with(Mistake::ProbesOnOneNode),
        breaks: &[ORDER, STREAM, BEHIND],
    },
    Broken {
        without: "probes before the flip: they come after, before each marker",
        protocol: Protocol::with(Mistake::ProbesAfterFlip),
        breaks: &[ORDER, STREAM],
    },
    Broken {
        without: "probes before each marker: they come before the flip alone",
        protocol: Protocol::with(Mistake::NoProbesAfterFlip),
        breaks: &[],
    },
    Broken {
        without: "markers: a queue found empty is drained",
        protocol: Protocol::with(Mistake::NoMarkers),
        breaks: &[ORDER, STREAM, BEHIND],
    },
    Broken {
        without: "marker 2: marker 1 drains",
        protocol: Protocol::with(Mistake::OneMarker),
        breaks: &[ORDER, STREAM],
    },
    Broken {
        without: "marker 2 after marker 1 was met: it follows at once",
        protocol: Protocol::with(Mistake::SecondMarkerAtOnce),
        breaks: &[ORDER, STREAM, BEHIND],
    },
    Broken {
        without: "acks before the batch of marker 2: it begins beside what is not acked",
        protocol: Protocol::with(Mistake::SecondMarkerBesideUnacked),
        breaks: &[STREAM, KEPT, FINISHES],
    },
    Broken {
        without: "the claim's look at earlier generations",
        protocol: Protocol::with(Mistake::ClaimWithoutCheck),
        breaks: &[ORDER, STREAM, ALONE],
    },
    Broken {
        without: "its look at all their shards: it looks at the one of its number",
        protocol: Protocol::with(Mistake::ClaimChecksItsNumber),
        breaks: &[ORDER, STREAM, ALONE],
    },
    Broken {
        without: "`mandatory`: a returned publish counts as stored",
        protocol: Protocol::with(Mistake::ReturnedIsStored),
        breaks: &[ORDER, STREAM, KEPT, FINISHES],
    },
    Broken {
        without: "dedupe over all generations: each knows its own outcomes",
        protocol: Protocol::with(Mistake::DedupePerGeneration),
        breaks: &[ONE_EFFECT],
    },
    Broken {
        without: "forwarding: a drained shard applies what arrives",
        protocol: Protocol::with(Mistake::DrainedApplies),
        breaks: &[],
    },
    Broken {
        without: "the lock",
        protocol: Protocol::with(Mistake::NoLock),
        breaks: &[BEHIND, FINISHES],
    },
    Broken {
        without: "the lock before the row is read: it is taken after",
        protocol: Protocol::with(Mistake::RowReadBeforeLock),
        breaks: &[BEHIND],
    },
    Broken {
        without: "compare in the updates of the row",
        protocol: Protocol::with(Mistake::UpdatesWithoutCompare),
        breaks: &[ABORTED],
    },
    Broken {
        without: "a point of no return: a resize is taken back while it unbinds",
        protocol: Protocol::with(Mistake::AbortWhileUnbinding),
        breaks: &[FINISHES],
    },
    Broken {
        without: "new numbers: that of an aborted generation is given out again",
        protocol: Protocol::with(Mistake::NumberGivenOutAgain),
        breaks: &[ABORTED],
    },
    Broken {
        without: "a broker that keeps its pace: a command may be slower than both markers",
        protocol: Protocol::WHOLE.unbounded(),
        breaks: &[ORDER, STREAM, BEHIND],
    },
    Broken {
        without: "that, and forwarding",
        protocol: Protocol::with(Mistake::DrainedApplies).unbounded(),
        breaks: &[ORDER, STREAM, DRAINED, BEHIND],
    },
    Broken {
        without: "that, and acks before the batch of marker 2",
        protocol: Protocol::with(Mistake::SecondMarkerBesideUnacked).unbounded(),
        breaks: &[ORDER, STREAM, KEPT, BEHIND, FINISHES],
    },
];

impl Broken {
    /// Everybody who coordinates without a lock is in many states, so there is one command then.
    fn sizes(&self) -> Vec<Size> {
        let once = Size::two_commands(&[1, 2], 1).disturbed(1, 0);
        let twice = Size::two_commands(&[1, 1, 1], 0);
        match self.protocol.mistake {
            Some(Mistake::NoLock | Mistake::RowReadBeforeLock) => vec![twice.with_one_command()],
            _ => vec![once, twice.disturbed(0, 1)],
        }
    }

    /// Every promise that some state breaks.
    fn broken(&self) -> BTreeSet<&'static str> {
        let mut broken = BTreeSet::new();
        for size in self.sizes() {
            let protocol = self.protocol;
            let model = Resizing { protocol, size };
            let checker = model
                .clone()
                .checker()
                .symmetry_fn(|state: &State| state.clone().whichever());
            let checker = checker.spawn_dfs().join();
            assert!(checker.is_done());
            for promise in always(&model) {
                if checker.discovery(promise).is_some() {
                    broken.insert(promise);
                }
            }
            if Progress::of(&model).stuck.is_some() {
                broken.insert(FINISHES);
            }
        }
        broken
    }
}

fn always(model: &Resizing) -> impl Iterator<Item = &'static str> + use<> {
    let promises = model.properties().into_iter();
    let promises = promises.filter(|p| p.expectation == Expectation::Always);
    promises.map(|promise| promise.name)
}

/// Which rows of the table a test looks at: two tests, since tests run side by side.
fn each_breaks_what_it_says<'a>(rows: impl Iterator<Item = &'a Broken>) {
    for row in rows {
        let expected: BTreeSet<_> = row.breaks.iter().copied().collect();
        assert_eq!(row.broken(), expected, "without {}", row.without);
    }
}

#[test]
fn every_other_rule_taken_away_breaks_what_the_table_says() {
    each_breaks_what_it_says(BROKEN.iter().step_by(2));
}

#[test]
fn the_rules_between_break_what_the_table_says() {
    each_breaks_what_it_says(BROKEN.iter().skip(1).step_by(2));
}

#[test]
fn every_promise_is_broken_by_somebody() {
    let model = Resizing {
        protocol: Protocol::WHOLE,
        size: Size::two_commands(&[1, 2], 1),
    };
    let mut unbroken: BTreeSet<_> = always(&model).collect();
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
    let readme = include_str!("../../../README.md");
    for row in &BROKEN {
        let breaks = match row.breaks {
            [] => "nothing".to_owned(),
            breaks => breaks.join("; "),
        };
        let line = format!("| {} | {breaks} |", row.without);
        assert!(readme.contains(&line), "missing in README.md: {line}");
    }
}
