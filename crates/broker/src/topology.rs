//! The exchanges, queues and streams of Orderly. Declared in a setup step, never by a worker or an ingress: those check.
//!
//! A quorum queue that was just declared is not crash-safe: kill -9 of a single node within about a second lost it with 500
//! confirmed messages. Let 10 s pass before traffic. A name is never reused: an attached consumer would be
//! re-attached to the new queue.

use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use orderly_protocol::{Marker, ShardId, names};

use crate::{
    connection::Connection,
    error::{BrokerError, PublishUnknown},
    message::{Confirm, Message},
    publisher::Publisher,
};

mod arguments;
mod verify;

pub use verify::{verify_payments, verify_shard, verify_shared};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog {
    /// As RabbitMQ writes it: `7D`, `12h`.
    pub max_age: String,
    /// Bytes on disk.
    pub max_bytes: u64,
}

impl Default for EventLog {
    /// 7 days: a dashboard that was away for a long weekend resumes. 10 GB: some 20 million events.
    fn default() -> Self {
        Self {
            max_age: "7D".to_owned(),
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
    #[error("{object} does not exist")]
    Missing {
        /// Its name.
        object: String,
    },
    /// It exists with other arguments.
    #[error("{object} exists with other arguments: {difference}")]
    Different {
        /// Its name.
        object: String,
        /// In the words of the broker.
        difference: String,
    },
    /// The broker could not be asked.
    #[error("set up {object}")]
    Broker {
        /// Its name.
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
    let setup = Setup { connection };
    setup
        .exchange(names::COMMANDS_EXCHANGE, ExchangeKind::Direct)
        .await?;
    setup
        .exchange(names::EVENTS_EXCHANGE, ExchangeKind::Topic)
        .await?;
    setup
        .queue(names::EVENTS_STREAM, arguments::stream(&log))
        .await?;
    setup
        .queue(names::PAYMENTS_QUEUE, arguments::ordered_queue())
        .await?;
    for event in PAYMENT_EVENTS {
        let key = format!("order.{event}.*");
        setup
            .bind(names::PAYMENTS_QUEUE, names::EVENTS_EXCHANGE, &key)
            .await?;
    }
    Ok(())
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
    let setup = Setup { connection };
    for shard in 0..shard_count {
        let shard = ShardId { generation, shard };
        setup
            .queue(&shard.queue(), arguments::shard_queue(max_length))
            .await?;
        setup
            .bind(
                &shard.queue(),
                names::COMMANDS_EXCHANGE,
                &shard.routing_key(),
            )
            .await?;
    }
    Ok(())
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

/// Does everything exist that a generation needs? Asks passively and changes nothing. AMQP 0.9.1 shows neither bindings nor
/// arguments to such a question.
///
/// # Errors
/// The first object that is missing, or the broker did not answer.
pub async fn check(
    connection: &Connection,
    generation: i32,
    shard_count: i32,
) -> Result<(), TopologyError> {
    for exchange in [names::COMMANDS_EXCHANGE, names::EVENTS_EXCHANGE] {
        let found = has_exchange(connection, exchange).await;
        require(exchange, found)?;
    }
    let shards = (0..shard_count).map(|shard| ShardId { generation, shard }.queue());
    let shared = [names::EVENTS_STREAM, names::PAYMENTS_QUEUE].map(String::from);
    for queue in shared.into_iter().chain(shards) {
        let found = queue_status(connection, &queue)
            .await
            .map(|status| status.is_some());
        require(&queue, found)?;
    }
    Ok(())
}

/// Whether the node that `publisher` is connected to returns whatever is published to a generation: every key once.
///
/// # Errors
/// The outcome of a probe is unknown, and the connection is lost.
pub async fn is_unbound(
    publisher: &mut Publisher,
    generation: i32,
    shard_count: i32,
) -> Result<bool, PublishUnknown> {
    all_answer(publisher, generation, shard_count, Confirm::Returned).await
}

/// Whether the node that `publisher` is connected to leads what is published to a generation into queues that store it: every key
/// once. It leaves a probe in each, which means nothing to whoever gets it.
///
/// # Errors
/// The outcome of a probe is unknown, as for a queue that lost its leader, and the connection is lost.
pub async fn is_stored(
    publisher: &mut Publisher,
    generation: i32,
    shard_count: i32,
) -> Result<bool, PublishUnknown> {
    all_answer(publisher, generation, shard_count, Confirm::Stored).await
}

async fn all_answer(
    publisher: &mut Publisher,
    generation: i32,
    shard_count: i32,
    wanted: Confirm,
) -> Result<bool, PublishUnknown> {
    for shard in 0..shard_count {
        if probe(publisher, ShardId { generation, shard }).await? != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What becomes of a message with a shard's key at the node that `publisher` is connected to. One that is stored means nothing to whoever
/// gets it.
///
/// # Errors
/// The outcome is unknown, and the connection is lost.
pub async fn probe(publisher: &mut Publisher, shard: ShardId) -> Result<Confirm, PublishUnknown> {
    let probe = Message::marker(Marker::Probe);
    publisher
        .probe(names::COMMANDS_EXCHANGE, &shard.routing_key(), &probe)
        .await
}

/// What the broker says of a queue or stream; `None` if it does not exist.
///
/// # Errors
/// The broker did not answer.
pub async fn queue_status(
    connection: &Connection,
    queue: &str,
) -> Result<Option<QueueStatus>, BrokerError> {
    let statuses = queue_statuses(connection, &[queue.to_owned()]).await?;
    Ok(statuses.into_iter().next().flatten())
}

/// The same of many, in their order.
///
/// # Errors
/// The broker did not answer.
pub async fn queue_statuses(
    connection: &Connection,
    queues: &[String],
) -> Result<Vec<Option<QueueStatus>>, BrokerError> {
    let mut statuses = Vec::new();
    // Of its own, since a refusal closes it.
    let mut channel = connection.channel().await?;
    for queue in queues {
        let options = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let declare =
            channel
                .client()
                .queue_declare(queue.as_str().into(), options, FieldTable::default());
        match channel.call("look for a queue", declare).await {
            Ok(queue) => statuses.push(Some(QueueStatus {
                messages: queue.message_count(),
                consumers: queue.consumer_count(),
            })),
            Err(error) if error.is_not_found() => {
                statuses.push(None);
                channel = connection.channel().await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(statuses)
}

async fn has_exchange(connection: &Connection, exchange: &str) -> Result<bool, BrokerError> {
    let channel = connection.channel().await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let declare = channel.client().exchange_declare(
        exchange.into(),
        ExchangeKind::Direct,
        options,
        FieldTable::default(),
    );
    match channel.call("look for an exchange", declare).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn require(object: &str, found: Result<bool, BrokerError>) -> Result<(), TopologyError> {
    match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(TopologyError::Missing {
            object: object.to_owned(),
        }),
        Err(source) => Err(TopologyError::Broker {
            object: object.to_owned(),
            source,
        }),
    }
}

/// Declares one thing after another, each on a channel of its own, since a refusal closes it.
struct Setup<'a> {
    connection: &'a Connection,
}

impl Setup<'_> {
    async fn exchange(&self, exchange: &str, kind: ExchangeKind) -> Result<(), TopologyError> {
        let declared = async {
            let channel = self.connection.channel().await?;
            let options = ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            };
            let client = channel.client();
            let declare =
                client.exchange_declare(exchange.into(), kind, options, FieldTable::default());
            channel.call("declare an exchange", declare).await
        };
        declared.await.map_err(|error| refused(exchange, error))
    }

    async fn queue(&self, queue: &str, arguments: FieldTable) -> Result<(), TopologyError> {
        let declared = async {
            let channel = self.connection.channel().await?;
            let options = QueueDeclareOptions {
                durable: true,
                ..Default::default()
            };
            let declare = channel
                .client()
                .queue_declare(queue.into(), options, arguments);
            channel.call("declare a queue", declare).await.map(drop)
        };
        declared.await.map_err(|error| refused(queue, error))
    }

    async fn bind(&self, queue: &str, exchange: &str, key: &str) -> Result<(), TopologyError> {
        let bound = async {
            let channel = self.connection.channel().await?;
            let bind = channel.client().queue_bind(
                queue.into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            channel.call("bind a queue", bind).await
        };
        bound.await.map_err(|error| refused(queue, error))
    }
}

fn refused(object: &str, source: BrokerError) -> TopologyError {
    let object = object.to_owned();
    if source.is_mismatch() {
        TopologyError::Different {
            object,
            difference: source.root_cause(),
        }
    } else {
        TopologyError::Broker { object, source }
    }
}
