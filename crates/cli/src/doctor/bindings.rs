//! Where the commands exchange leads, and queues that no generation knows.

use std::collections::{BTreeMap, BTreeSet};

use orderly_protocol::ShardId;
use orderly_store::{Layout, Store};

use super::finding::{Findings, State};
use super::management::{Binding, Queue};
use super::server::names_of;

/// Each key of the generation leads to its own queue; no key of another one leads anywhere.
pub(super) fn judge_bindings(findings: &mut Findings, bindings: &[Binding], layout: Layout) {
    let check = "bindings";
    let mut bound: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for binding in bindings {
        let queues = bound.entry(&binding.routing_key).or_default();
        queues.insert(&binding.destination);
    }
    for shard in 0..layout.shard_count {
        let shard = ShardId {
            generation: layout.generation,
            shard,
        };
        let (key, queue) = (shard.routing_key(), shard.queue());
        let mut others = bound.remove(key.as_str()).unwrap_or_default();
        if !others.remove(queue.as_str()) {
            findings
                .add(
                    State::Broken,
                    check,
                    format!("{key} does not lead to {queue}: its commands are returned"),
                )
                .mend("orderly shards resize, to a generation with bindings of its own");
        }
        for other in others {
            let is_shard = other.starts_with("orders.g");
            let state = if is_shard {
                State::Broken
            } else {
                State::Warning
            };
            findings
                .add(state, check, format!("{key} leads to {other} too"))
                .mend(format!("unbind {other} from orders.commands, unless somebody wants copies of commands there"));
        }
    }
    let of_others = bound.keys().filter(|key| is_shard_key(key)).count();
    if of_others > 0 {
        findings
            .add(
                State::Broken,
                check,
                format!("{of_others} keys of other generations lead to queues: what is published there is in no order with the rest"),
            )
            .mend("orderly topology retire");
    }
    findings.ok_unless_found(
        check,
        "each key of the current generation leads to its queue, and no other",
    );
}

/// `g1.003`.
fn is_shard_key(key: &str) -> bool {
    generation_of(key).is_some()
}

fn generation_of(key: &str) -> Option<i32> {
    let (generation, shard) = key.strip_prefix('g')?.split_once('.')?;
    shard.parse::<u16>().ok()?;
    generation.parse().ok()
}

/// Queues named like shards, of generations that the database does not have: of a database that was restored, or another system's.
pub(super) async fn strangers(findings: &mut Findings, store: &Store, queues: &[Queue]) {
    let served = store.served_generations().await;
    let ended = store.ended_generations().await;
    let (Ok(served), Ok(ended)) = (served, ended) else {
        return;
    };
    let served = served.iter().map(|served| served.layout.generation);
    let known: BTreeSet<i32> = served
        .chain(ended.iter().map(|layout| layout.generation))
        .collect();
    let strangers: Vec<&str> = queues
        .iter()
        .filter(|queue| {
            let key = queue.name.strip_prefix("orders.");
            key.and_then(generation_of)
                .is_some_and(|it| !known.contains(&it))
        })
        .map(|queue| queue.name.as_str())
        .collect();
    if !strangers.is_empty() {
        findings
            .add(
                State::Broken,
                "leftover",
                format!("the database knows nothing of {}: it was restored from before them, or two systems share this virtual host", names_of(&strangers)),
            )
            .mend("deploy/README.md, on restoring; a second system needs a virtual host of its own");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        generation: 2,
        shard_count: 2,
        prefetch: 32,
    };

    fn states(examine: impl FnOnce(&mut Findings)) -> Vec<State> {
        let mut findings = Findings::default();
        examine(&mut findings);
        findings.0.into_iter().map(|it| it.state).collect()
    }

    fn bindings(all: &[(&str, &str)]) -> Vec<State> {
        let all: Vec<_> = all
            .iter()
            .map(|(key, queue)| Binding {
                routing_key: (*key).to_owned(),
                destination: (*queue).to_owned(),
            })
            .collect();
        states(|findings| judge_bindings(findings, &all, LAYOUT))
    }

    #[test]
    fn each_key_leads_to_its_queue_alone() {
        use State::{Broken, Ok, Warning};
        let own = [("g2.000", "orders.g2.000"), ("g2.001", "orders.g2.001")];
        assert_eq!(bindings(&own), [Ok]);
        assert_eq!(bindings(&own[..1]), [Broken]);
        let with = |more| [&own[..], &[more]].concat();
        assert_eq!(bindings(&with(("g2.000", "orders.g2.001"))), [Broken]);
        assert_eq!(bindings(&with(("g2.000", "tap"))), [Warning]);
        assert_eq!(bindings(&with(("g1.000", "orders.g1.000"))), [Broken]);
        assert_eq!(bindings(&with(("audit", "tap"))), [Ok]);
    }
}
