//! Policies of the broker that would undo what a queue was declared with. Both kinds, users' and operators', as the broker has merged them.
//!
//! Where a policy and an argument say the same in numbers, the smaller one holds; so a queue's own limit protects it from none of these
//! (RabbitMQ docs, "Policies"; measured for the delivery limit on 3.10.8 and 4.0.5).

use orderly_broker::topology::DEFAULT_MAX_LENGTH;
use orderly_protocol::names;
use serde_json::Value;

use super::finding::{Findings, State};
use super::management::Queue;

/// Redeliveries that no crash loop reaches: the count rises for all that a consumer holds.
const LEAST_DELIVERY_LIMIT: i64 = 1_000_000;

/// A worker that waits for its database closes the subscription long before.
const LEAST_CONSUMER_TIMEOUT_MS: i64 = 60_000;

/// Looks at every queue that holds commands in order, and at the stream.
pub(super) fn examine(findings: &mut Findings, vhost: &str, queues: &[Queue]) {
    for queue in queues.iter().filter(|queue| is_ours(&queue.name)) {
        for (key, value) in queue.policies() {
            let Some((state, harm)) = harm(&queue.name, key, value) else {
                continue;
            };
            let what = format!("policy {key} = {value} on {}: {harm}", queue.name);
            findings
                .add(state, "policy", what)
                .mend(clear(vhost, queue));
        }
    }
}

fn is_ours(queue: &str) -> bool {
    queue.starts_with("orders.g") || [names::EVENTS_STREAM, names::PAYMENTS_QUEUE].contains(&queue)
}

/// What a policy does to a queue that Orderly rests on.
fn harm(queue: &str, key: &str, value: &Value) -> Option<(State, &'static str)> {
    use State::{Broken, Warning};
    let number = value.as_i64();
    if queue == names::EVENTS_STREAM {
        return ["max-age", "max-length-bytes"].contains(&key).then_some((
            Warning,
            "a dashboard that was away for longer than events are kept starts anew",
        ));
    }
    let harm = match key {
        "delivery-limit" if number.is_none_or(|limit| limit < LEAST_DELIVERY_LIMIT) => (
            Broken,
            "commands that were delivered so often, as in a crash loop, are dropped",
        ),
        "message-ttl" => (Broken, "commands that wait for so long are dropped"),
        "expires" => (
            Broken,
            "a queue that nobody uses for so long is deleted, with all it holds",
        ),
        "federation-upstream" | "federation-upstream-set" | "federation-upstream-pattern" => (
            Broken,
            "commands come from elsewhere, in no order with those that are accepted here",
        ),
        "dead-letter-exchange" | "dead-letter-routing-key" | "dead-letter-strategy" => (
            Warning,
            "a command that leaves its queue so is overtaken by the next of its order; nothing leaves so today",
        ),
        "max-length" if number.is_none_or(|most| most < i64::from(DEFAULT_MAX_LENGTH)) => {
            (Warning, "producers are refused sooner than a shard is full")
        }
        "max-length-bytes" => (Warning, "producers are refused sooner than a shard is full"),
        "consumer-timeout" if number.is_none_or(|limit| limit < LEAST_CONSUMER_TIMEOUT_MS) => (
            Warning,
            "a worker that waits for the database for so long loses the shard and begins anew",
        ),
        _ => return None,
    };
    Some(harm)
}

fn clear(vhost: &str, queue: &Queue) -> String {
    let clear = |command: &str, name: &Option<String>| {
        let name = name.as_ref().filter(|name| !name.is_empty())?;
        Some(format!("rabbitmqctl {command} -p {vhost} {name}"))
    };
    let commands = [
        clear("clear_policy", &queue.policy),
        clear("clear_operator_policy", &queue.operator_policy),
    ];
    let commands: Vec<_> = commands.into_iter().flatten().collect();
    format!(
        "{}, or let its pattern leave out the queues that begin with orders.",
        commands.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(name: &str, definition: Value) -> Vec<(State, String)> {
        let queue = Queue {
            name: name.to_owned(),
            policy: Some("p".to_owned()),
            effective_policy_definition: definition,
            ..Queue::default()
        };
        let mut findings = Findings::default();
        examine(&mut findings, "/", &[queue]);
        findings
            .0
            .into_iter()
            .map(|it| (it.state, it.what))
            .collect()
    }

    #[test]
    fn what_loses_or_reorders_commands_is_broken() {
        let shard = "orders.g1.000";
        for definition in [
            json!({"delivery-limit": 20}),
            json!({"delivery-limit": -1}),
            json!({"message-ttl": 60_000}),
            json!({"expires": 60_000}),
            json!({"federation-upstream-set": "all"}),
        ] {
            for queue in [shard, "orders.payments"] {
                let found = found(queue, definition.clone());
                assert!(
                    matches!(&found[..], [(State::Broken, _)]),
                    "{definition}: {found:?}"
                );
            }
        }
        assert_eq!(found("somebody.elses", json!({"message-ttl": 1})), []);
    }

    #[test]
    fn what_only_costs_is_a_warning_and_the_rest_is_nobodys_business() {
        for definition in [
            json!({"max-length": 10}),
            json!({"max-length-bytes": 10}),
            json!({"dead-letter-exchange": "x"}),
            json!({"consumer-timeout": 1_000}),
        ] {
            let found = found("orders.g2.001", definition.clone());
            assert!(
                matches!(&found[..], [(State::Warning, _)]),
                "{definition}: {found:?}"
            );
        }
        let stream = found("orders.events.log", json!({"max-age": "1h"}));
        assert!(matches!(&stream[..], [(State::Warning, _)]), "{stream:?}");
        let harmless = json!({
            "queue-leader-locator": "balanced",
            "max-length": 1_000_000,
            "delivery-limit": 2_000_000_000,
            "consumer-timeout": 14_400_000,
        });
        assert_eq!(found("orders.g2.001", harmless), []);
        // As RabbitMQ writes that there is none.
        assert_eq!(found("orders.g2.001", json!([])), []);
    }
}
