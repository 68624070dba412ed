//! Names of exchanges, queues, streams, routing keys and content types. Owns the text alone; crate broker declares what
//! they name.

use orderly_domain::OrderId;

/// Direct exchange that takes every command message; its routing keys are [`crate::ShardId::routing_key`].
pub const COMMANDS_EXCHANGE: &str = "orders.commands";

/// Stream of status events, written by workers.
pub const EVENTS_STREAM: &str = "orders.events.log";

/// Topic exchange to which the relay copies each status event.
pub const EVENTS_EXCHANGE: &str = "orders.events";

/// Queue of the events that the payments role acts on.
pub const PAYMENTS_QUEUE: &str = "orders.payments";

/// Held by the one coordinator of a resize; exclusive.
pub const RESIZE_LOCK_QUEUE: &str = "orders.resize.lock";

/// Header that names the schema of a command message.
pub const SCHEMA_HEADER: &str = "schema";

/// The schema of command messages. A worker that finds another one leaves the shard to a worker that can read it.
pub const COMMANDS_SCHEMA: &str = "order-commands.v1";

/// The schema of [`crate::Marker`]s, which stand among the command messages of a shard whose generation ends.
pub const MARKERS_SCHEMA: &str = "order-markers.v1";

/// Content type of command messages and replies.
pub const JSON_TYPE: &str = "application/json";

/// Content type of one status event (`CloudEvents` JSON format).
pub const CLOUDEVENT_TYPE: &str = "application/cloudevents+json";

/// Content type of a message of several status events (`CloudEvents` JSON batch format).
pub const CLOUDEVENTS_BATCH_TYPE: &str = "application/cloudevents-batch+json";

/// Content type of an error (RFC 9457).
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// The exclusive queue on which one ingress process takes replies.
#[must_use]
pub fn reply_queue(instance: &str) -> String {
    format!("orders.reply.{instance}")
}

/// Routing key of a status event on [`EVENTS_EXCHANGE`]; `event` is its name, as `placed`.
#[must_use]
pub fn event_routing_key(event: &str, order_id: OrderId) -> String {
    format!("order.{event}.{order_id}")
}

/// The `CloudEvents` type of an event, as `order.placed.v1`.
#[must_use]
pub fn cloudevent_type(event: &str) -> String {
    format!("order.{event}.v1")
}

#[cfg(test)]
mod tests {
    use uuid::uuid;

    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        let order_id = OrderId(uuid!("0190a5c1-2b3c-7d4e-8f50-617283940516"));
        assert_eq!(reply_queue("host-1"), "orders.reply.host-1");
        assert_eq!(
            event_routing_key("placed", order_id),
            "order.placed.0190a5c1-2b3c-7d4e-8f50-617283940516"
        );
        assert_eq!(
            cloudevent_type("payment_requested"),
            "order.payment_requested.v1"
        );
    }
}
