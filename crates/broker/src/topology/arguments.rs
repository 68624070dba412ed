//! What queues and the stream are declared with. Never changed for a name that exists: the broker refuses a redeclaration.

use lapin::types::{AMQPValue, FieldTable};

use super::EventLog;

/// Redeliveries before the broker drops a message. Absent means 20 on RabbitMQ 4 (the message is gone silently), -1 means
/// "drop at the first redelivery" on 3.10; this means never, on both.
const DELIVERY_LIMIT: i64 = 2_000_000_000;

/// A quorum queue that keeps its order for one consumer at a time and never drops what was redelivered.
pub(super) fn ordered_queue() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-single-active-consumer".into(), true.into());
    arguments.insert("x-delivery-limit".into(), DELIVERY_LIMIT.into());
    // Leaders spread over the nodes of a cluster instead of gathering on the one that declares.
    arguments.insert("x-queue-leader-locator".into(), text("balanced"));
    arguments
}

/// As [`ordered_queue`], and full at some length: its producers are refused, nothing is dropped. No dead-letter
/// exchange: the next command of the order would run past the dead one.
pub(super) fn shard_queue(max_length: u32) -> FieldTable {
    let mut arguments = ordered_queue();
    arguments.insert("x-max-length".into(), i64::from(max_length).into());
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

pub(super) fn stream(log: &EventLog) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    arguments.insert("x-max-age".into(), text(&log.max_age));
    let bytes = i64::try_from(log.max_bytes).unwrap_or(i64::MAX);
    arguments.insert("x-max-length-bytes".into(), bytes.into());
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
