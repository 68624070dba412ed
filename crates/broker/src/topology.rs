//! The exchanges, queues and streams of Orderly. Declared in a setup step, never by a worker or an ingress: those check.
//!
//! A quorum queue that was just declared is not crash-safe: kill -9 of a single node within about a second lost it with 500
//! confirmed messages. Let 10 s pass before traffic. A name is never reused: an attached consumer would be
//! re-attached to the new queue.

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use orderly_protocol::{ShardId, names};

use crate::{channel::Channel, connection::Connection, error::BrokerError};

/// Redeliveries before the broker drops a message. Absent means 20 on RabbitMQ 4 (the message is gone silently), -1 means
/// "drop at the first redelivery" on 3.10; this means never, on both.
const DELIVERY_LIMIT: i64 = 2_000_000_000;

/// Messages in a shard's queue before the broker refuses more, unless configured otherwise. A message holds up to 128
/// commands: at 100,000 messages the shard is minutes to hours behind, and its producers must be told.
pub const DEFAULT_MAX_LENGTH: u32 = 100_000;

/// Events that the payments role acts on.
const PAYMENT_EVENTS: [&str; 5] = [
    "payment_requested",
    "payment_authorized",
    "payment_captured",
    "refund_requested",
    "cancelled",
];

/// How much of the stream of status events is kept; whichever limit is met first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLog {
    /// As RabbitMQ writes it: `7D`, `12h`.
    pub max_age: &'static str,
    /// Bytes on disk.
    pub max_bytes: u64,
}

impl Default for EventLog {
    /// 7 days: a dashboard that was away for a long weekend resumes. 10 GB: some 20 million events.
    fn default() -> Self {
        Self {
            max_age: "7D",
            max_bytes: 10_000_000_000,
        }
    }
}

/// What the broker says of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// Messages ready for delivery. Stale for a moment after a restart: never a proof that a queue is empty.
    pub messages: u32,
    /// Consumers, active or not.
    pub consumers: u32,
}

/// An object that is missing or differs.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TopologyError {
    /// It does not exist.
    #[error("{0} does not exist")]
    Missing(String),
    /// It exists with other arguments.
    #[error("{0} exists with other arguments")]
    Different(String),
    /// The broker could not be asked.
    #[error("ask for {object}")]
    Broker {
        /// What was asked for.
        object: String,
        /// Why it failed.
        source: BrokerError,
    },
}

/// Declares what all generations share: both exchanges, the stream of status events, and the queue of the payments role
/// with its bindings. Does nothing to what exists already.
///
/// # Errors
/// Something exists with other arguments, or the broker did not answer.
pub async fn declare_shared(connection: &Connection, log: EventLog) -> Result<(), TopologyError> {
    let _ = (connection, log, PAYMENT_EVENTS);
    unimplemented!()
}

/// Declares the queues of a generation and binds them to the commands exchange.
///
/// # Errors
/// A queue exists with other arguments, or the broker did not answer.
pub async fn declare_generation(
    connection: &Connection,
    generation: i32,
    shard_count: i32,
    max_length: u32,
) -> Result<(), TopologyError> {
    let _ = (connection, generation, shard_count, max_length);
    unimplemented!()
}

/// [`declare_shared`] and [`declare_generation`] with their defaults.
///
/// # Errors
/// As for those.
pub async fn declare(
    connection: &Connection,
    generation: i32,
    shard_count: i32,
) -> Result<(), TopologyError> {
    declare_shared(connection, EventLog::default()).await?;
    declare_generation(connection, generation, shard_count, DEFAULT_MAX_LENGTH).await
}

/// Does everything exist that a generation needs? Asks passively and changes nothing.
///
/// # Errors
/// The first object that is missing, or the broker did not answer.
pub async fn check(
    connection: &Connection,
    generation: i32,
    shard_count: i32,
) -> Result<(), TopologyError> {
    let _ = (connection, generation, shard_count);
    unimplemented!()
}

/// What the broker says of a queue or stream; `None` if it does not exist.
///
/// # Errors
/// The broker did not answer.
pub async fn queue_status(
    connection: &Connection,
    queue: &str,
) -> Result<Option<QueueStatus>, BrokerError> {
    let _ = (connection, queue);
    unimplemented!()
}
