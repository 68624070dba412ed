//! The broker by AMQP: what exists and how it was declared, where messages really go, and what the user may do.

use orderly_broker::topology::{self, TopologyError};
use orderly_broker::{BrokerConfig, Confirm, Connection, MissingRight, missing_rights};
use orderly_protocol::ShardId;
use orderly_store::{Layout, Store};

use super::finding::{Findings, State};
use super::is_resizing;

pub(super) async fn examine(
    findings: &mut Findings,
    broker: &BrokerConfig,
    store: Option<&Store>,
    layout: Option<Layout>,
) {
    let Some(connection) = connect(findings, broker).await else {
        return;
    };
    findings.ok("broker", "takes this user");
    judge_object(findings, topology::verify_shared(&connection).await);
    let served = match store {
        Some(store) => store.served_generations().await.unwrap_or_default(),
        None => Vec::new(),
    };
    for shard in served.iter().flat_map(|served| shards(served.layout)) {
        judge_object(findings, topology::verify_shard(&connection, shard).await);
    }
    findings.ok_unless_found("topology", "every queue and exchange is as it was declared");
    if let Some(store) = store {
        leftovers(findings, &connection, store).await;
    }
    if let Some(layout) = layout {
        let shard = ShardId {
            generation: layout.generation,
            shard: 0,
        };
        let missing = missing_rights(&connection, shard).await;
        // A publish that is refused, or not confirmed, takes its connection with it.
        if let Some(connection) = connect(findings, broker).await {
            publish(findings, &connection, store, layout).await;
            connection.close().await;
        }
        match missing {
            Ok(missing) => judge_rights(findings, &missing),
            Err(error) => findings.unanswered("rights", &error),
        }
    }
    connection.close().await;
}

async fn connect(findings: &mut Findings, broker: &BrokerConfig) -> Option<Connection> {
    let connected = Connection::open(broker).await;
    connected
        .map_err(|error| {
            let error = anyhow::Error::from(error);
            findings
                .add(State::Broken, "broker", format!("not reached: {error:#}"))
                .mend("see whether it runs and takes this user; nothing is accepted without it");
        })
        .ok()
}

fn shards(layout: Layout) -> impl Iterator<Item = ShardId> {
    let generation = layout.generation;
    (0..layout.shard_count).map(move |shard| ShardId { generation, shard })
}

fn judge_object(findings: &mut Findings, found: Result<(), TopologyError>) {
    let check = "topology";
    match found {
        Ok(()) => {}
        Err(error @ TopologyError::Missing { .. }) => findings
            .add(State::Broken, check, error.to_string())
            .mend("what was in it is lost; in a new system `orderly topology apply` declares it. A queue of a shard is never declared again under its name: resize to a new generation"),
        Err(error @ TopologyError::Different { .. }) => findings
            .add(State::Broken, check, error.to_string())
            .mend("a queue keeps its arguments: `orderly shards resize` makes new ones, `orderly topology retire` then deletes it"),
        Err(TopologyError::Broker { object, source }) if source.is_access_refused() => findings
            .add(State::Unknown, check, format!("how {object} was declared"))
            .mend("this user lacks the right to configure it, which `orderly topology apply` and a resize need too"),
        Err(TopologyError::Broker { object, source }) => {
            findings.unanswered(check, &TopologyError::Broker { object, source });
        }
    }
}

/// One probe to each shard of the generation that takes commands, as an ingress would publish.
async fn publish(
    findings: &mut Findings,
    connection: &Connection,
    store: Option<&Store>,
    layout: Layout,
) {
    let check = "publish";
    let mut publisher = match connection.publisher().await {
        Ok(publisher) => publisher,
        Err(error) => return findings.unanswered(check, &error),
    };
    for shard in shards(layout) {
        match topology::probe(&mut publisher, shard).await {
            Ok(Confirm::Stored) => {}
            Ok(Confirm::Refused) => findings
                .add(State::Broken, check, format!("{shard} is full: its producers are refused"))
                .mend("start more workers; `orderly shards list` shows the depth, `orderly scaling` how many"),
            Ok(Confirm::Returned) => {
                // Between the unbinding and the flip nothing leads to the generation that is still current.
                if is_resizing(store).await {
                    findings.add(State::Warning, check, "a resize is under way: look again after it");
                    return;
                }
                findings
                    .add(State::Broken, check, format!("{shard} is bound to no queue: its commands are returned"))
                    .mend(format!(
                        "bind queue {} to exchange orders.commands with the key {shard}, once nobody can have taken it away for a resize; or resize",
                        shard.queue()
                    ));
            }
            Err(unknown) if unknown.0.is_access_refused() => {
                findings
                    .add(State::Broken, "rights", "write orders.commands is missing; ingress and payments need it")
                    .mend("rabbitmqctl set_permissions");
                return;
            }
            Err(unknown) => {
                findings
                    .add(State::Broken, check, format!("{shard} did not confirm: {}", unknown.0))
                    .mend("an alarm of the broker (memory, disk), or a queue without a leader: rabbitmq-diagnostics alarms, rabbitmq-queues check_if_node_is_quorum_critical");
                return;
            }
        }
    }
    findings.ok_unless_found(check, "every shard stores what is published to it");
}

fn judge_rights(findings: &mut Findings, missing: &[MissingRight]) {
    for missing in missing {
        findings
            .add(
                State::Broken,
                "rights",
                format!(
                    "{} {} is missing; needed by: {}",
                    missing.right, missing.object, missing.roles
                ),
            )
            .mend("rabbitmqctl set_permissions");
    }
    findings.ok_unless_found("rights", "this user may do all that the roles do");
}

/// Queues of generations that have ended.
async fn leftovers(findings: &mut Findings, connection: &Connection, store: &Store) {
    let check = "leftover";
    let ended = match store.ended_generations().await {
        Ok(ended) => ended,
        Err(error) => return findings.unanswered(check, &error),
    };
    for layout in ended {
        let queues: Vec<_> = shards(layout).map(ShardId::queue).collect();
        let there = match topology::queue_statuses(connection, &queues).await {
            Ok(statuses) => statuses.into_iter().flatten().count(),
            Err(error) => return findings.unanswered(check, &error),
        };
        if there > 0 {
            findings
                .add(
                    State::Warning,
                    check,
                    format!(
                        "generation {} has ended and still has {there} queues",
                        layout.generation
                    ),
                )
                .mend("orderly topology retire");
        }
    }
    findings.ok_unless_found(check, "no queues of generations that have ended");
}
