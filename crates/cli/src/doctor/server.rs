//! The broker by its management API: version, nodes, alarms, policies, bindings, copies, and queues that nobody knows.

use std::collections::BTreeMap;

use orderly_protocol::names;
use orderly_store::{Layout, Store};

use super::bindings::{judge_bindings, strangers};
use super::finding::{Findings, State};
use super::management::{Management, Node, Queue};
use super::{is_resizing, policy};

/// What is not known without it.
pub(super) fn unknown(findings: &mut Findings, why: &str) {
    findings
        .add(
            State::Unknown,
            "management",
            format!("version, alarms, policies, bindings and copies: {why}"),
        )
        .mend("rabbitmq-plugins enable rabbitmq_management on every node; rabbitmqctl set_user_tags USER monitoring; --management-url says where");
}

/// Answers how many nodes the cluster has, if that was told.
pub(super) async fn examine(
    findings: &mut Findings,
    management: &Management,
    store: Option<&Store>,
    layout: Option<Layout>,
) -> Option<usize> {
    let overview = match management.overview().await {
        Ok(overview) => overview,
        Err(error) => {
            let error = anyhow::Error::from(error);
            unknown(findings, &format!("{error:#} ({})", management.place()));
            return None;
        }
    };
    judge_version(
        findings,
        &overview.rabbitmq_version,
        &overview.erlang_version,
    );
    let mut count = None;
    match management.nodes().await {
        Ok(nodes) => {
            judge_nodes(findings, &nodes);
            count = Some(nodes.len());
        }
        Err(error) => findings.unanswered("nodes", &error),
    }
    match management.queues().await {
        Ok(queues) => {
            policy::examine(findings, management.vhost(), &queues);
            findings.ok_unless_found("policy", "none touches Orderly's queues");
            judge_copies(findings, &queues, count.unwrap_or(1));
            if let Some(store) = store {
                strangers(findings, store, &queues).await;
            }
        }
        Err(error) => findings.unanswered("policy", &error),
    }
    if let Some(layout) = layout {
        match management.bindings(names::COMMANDS_EXCHANGE).await {
            Ok(bindings) => {
                if is_resizing(store).await {
                    findings.add(
                        State::Warning,
                        "bindings",
                        "a resize is under way: look again after it",
                    );
                } else {
                    judge_bindings(findings, &bindings, layout);
                }
            }
            Err(error) => findings.unanswered("bindings", &error),
        }
    }
    count
}

fn judge_version(findings: &mut Findings, rabbitmq: &str, erlang: &str) {
    let check = "version";
    let what = format!("RabbitMQ {rabbitmq} on Erlang {erlang}");
    let mut numbers = rabbitmq.split(['.', '-', '+']).map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok);
    let (Some(major), Some(minor), patch) = (next(), next(), next().unwrap_or(0)) else {
        findings.add(
            State::Warning,
            check,
            format!("{what}: not a version that is known"),
        );
        return;
    };
    if (major, minor) < (3, 10) {
        findings
            .add(
                State::Broken,
                check,
                format!("{what} is older than what Orderly was tried with"),
            )
            .mend("RabbitMQ 3.10 or newer");
    } else if (major, minor) == (4, 3) && patch <= 5 {
        findings
            .add(
                State::Warning,
                check,
                format!("{what}: a queue whose consumers all ran into the consumer timeout is stuck for good (rabbitmq-server issue 17317)"),
            )
            .mend("a later 4.3, or consumer_timeout of hours on every node");
    } else {
        findings.ok(check, what);
    }
}

fn judge_nodes(findings: &mut Findings, nodes: &[Node]) {
    for node in nodes {
        let name = &node.name;
        if !node.running {
            findings
                .add(State::Warning, "nodes", format!("{name} does not run"))
                .mend("start it, or take it out of the cluster (rabbitmqctl forget_cluster_node): a resize waits for every node");
        }
        if !node.partitions.is_empty() {
            let from = node.partitions.join(", ");
            findings
                .add(
                    State::Broken,
                    "nodes",
                    format!("{name} is parted from {from}"),
                )
                .mend(format!("rabbitmqctl -n {name} stop_app, then start_app"));
        }
        let alarms = [(node.mem_alarm, "memory"), (node.disk_free_alarm, "disk")];
        for (_, resource) in alarms.into_iter().filter(|(is_on, _)| *is_on) {
            findings
                .add(
                    State::Broken,
                    "alarms",
                    format!("{name} has a {resource} alarm: no node takes commands"),
                )
                .mend(format!(
                    "give it {resource}; commands are refused with 503 until then, and none is lost"
                ));
        }
    }
    findings.ok_unless_found(
        "nodes",
        match nodes.len() {
            1 => "one; what is accepted is as safe as its disk".to_owned(),
            count => format!("{count}, all running"),
        },
    );
    findings.ok_unless_found("alarms", "none");
}

/// Copies that a queue in a cluster should have: of three, one can be lost.
const WANTED_COPIES: usize = 3;

fn judge_copies(findings: &mut Findings, queues: &[Queue], nodes: usize) {
    let wanted = nodes.min(WANTED_COPIES);
    let replicated = queues
        .iter()
        .filter(|queue| queue.name.starts_with("orders.") && !queue.members.is_empty());
    // Told together: they are alike, and there are many.
    let mut few: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    let mut away: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for queue in replicated {
        if queue.members.len() < wanted {
            few.entry(queue.members.len())
                .or_default()
                .push(&queue.name);
        }
        let missing: Vec<_> = queue
            .members
            .iter()
            .filter(|member| !queue.online.contains(member))
            .collect();
        for node in missing {
            away.entry(node.clone()).or_default().push(&queue.name);
        }
    }
    for (copies, queues) in few {
        findings
            .add(
                State::Warning,
                "copies",
                format!("{copies} of {wanted} for {}", names_of(&queues)),
            )
            .mend("rabbitmq-queues grow NODE all: what is accepted is lost with the last node that has a copy");
    }
    for (node, queues) in away {
        findings
            .add(
                State::Warning,
                "copies",
                format!("the one on {node} is away for {}", names_of(&queues)),
            )
            .mend("start the node: with a majority of the copies away the shards stand still");
    }
    findings.ok_unless_found("copies", format!("{wanted} of each queue"));
}

pub(super) fn names_of(queues: &[&str]) -> String {
    match queues {
        [one] => (*one).to_owned(),
        [first, .., last] => format!("{} queues, {first} to {last}", queues.len()),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(examine: impl FnOnce(&mut Findings)) -> Vec<State> {
        let mut findings = Findings::default();
        examine(&mut findings);
        findings.0.into_iter().map(|it| it.state).collect()
    }

    #[test]
    fn versions_are_told_apart() {
        use State::{Broken, Ok, Warning};
        for (version, state) in [
            ("3.9.29", Broken),
            ("3.10.8", Ok),
            ("4.0.5", Ok),
            ("4.2.0", Ok),
            ("4.3.5", Warning),
            ("4.3.6", Ok),
            ("4.4.0-rc.1", Ok),
            ("?", Warning),
        ] {
            let found = states(|findings| judge_version(findings, version, "27"));
            assert_eq!(found, [state], "{version}");
        }
    }

    #[test]
    fn a_node_that_is_away_parted_or_full_is_told() {
        use State::{Broken, Ok, Warning};
        let node = |running, mem_alarm, partitions: &[&str]| Node {
            name: "rabbit@a".to_owned(),
            running,
            mem_alarm,
            disk_free_alarm: false,
            partitions: partitions.iter().map(|it| (*it).to_owned()).collect(),
        };
        let found = |node| states(|findings| judge_nodes(findings, &[node]));
        assert_eq!(found(node(true, false, &[])), [Ok, Ok]);
        assert_eq!(found(node(false, false, &[])), [Warning, Ok]);
        assert_eq!(found(node(true, true, &[])), [Broken, Ok]);
        assert_eq!(found(node(true, false, &["rabbit@b"])), [Broken, Ok]);
    }

    #[test]
    fn copies_are_counted_against_the_nodes() {
        use State::{Ok, Warning};
        let copies = |members: &[&str], online: &[&str], nodes| {
            let strings = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
            let queue = Queue {
                name: "orders.g1.000".to_owned(),
                members: strings(members),
                online: strings(online),
                ..Queue::default()
            };
            states(|findings| judge_copies(findings, &[queue], nodes))
        };
        assert_eq!(copies(&["a"], &["a"], 1), [Ok]);
        assert_eq!(copies(&["a"], &["a"], 3), [Warning]);
        assert_eq!(copies(&["a", "b", "c"], &["a", "b", "c"], 5), [Ok]);
        assert_eq!(copies(&["a", "b", "c"], &["a", "b"], 3), [Warning]);
    }
}
