//! Whether what exists has the arguments that it would be declared with.
//!
//! AMQP 0.9.1 shows arguments to nobody; it only compares them with those of a declaration. A declaration that finds nothing creates,
//! and a name must never be reused: so these carry an argument that no new queue may have, and that is no part of the comparison.

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use orderly_protocol::{ShardId, names};

use super::{DEFAULT_MAX_LENGTH, EventLog, TopologyError, arguments, refused, require};
use crate::connection::Connection;
use crate::error::BrokerError;
use lapin::ExchangeKind;

/// For classic queues alone, and invalid there too.
const NEVER_CREATES: &str = "x-max-priority";

/// Both exchanges, the stream and the queue of the payments role. Changes nothing.
///
/// # Errors
/// The first object that is missing or differs, or the broker did not answer. The user needs the right to configure them.
pub async fn verify_shared(connection: &Connection) -> Result<(), TopologyError> {
    let exchanges = [
        (names::COMMANDS_EXCHANGE, ExchangeKind::Direct),
        (names::EVENTS_EXCHANGE, ExchangeKind::Topic),
    ];
    for (exchange, kind) in exchanges {
        verify_exchange(connection, exchange, kind).await?;
    }
    let stream = arguments::stream(&EventLog::default());
    verify_queue(connection, names::EVENTS_STREAM, stream).await?;
    verify_payments(connection).await
}

/// The queue of the payments role. Changes nothing.
///
/// # Errors
/// As for [`verify_shared`].
pub async fn verify_payments(connection: &Connection) -> Result<(), TopologyError> {
    let wanted = arguments::ordered_queue();
    verify_queue(connection, names::PAYMENTS_QUEUE, wanted).await
}

/// The queue of one shard. Changes nothing.
///
/// # Errors
/// As for [`verify_shared`].
pub async fn verify_shard(connection: &Connection, shard: ShardId) -> Result<(), TopologyError> {
    let wanted = arguments::shard_queue(DEFAULT_MAX_LENGTH);
    verify_queue(connection, &shard.queue(), wanted).await
}

async fn verify_queue(
    connection: &Connection,
    queue: &str,
    mut wanted: FieldTable,
) -> Result<(), TopologyError> {
    let found = super::queue_status(connection, queue).await;
    require(queue, found.map(|status| status.is_some()))?;
    wanted.insert(NEVER_CREATES.into(), (-1).into());
    let compared = async {
        let channel = connection.channel().await?;
        let options = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let declare = channel
            .client()
            .queue_declare(queue.into(), options, wanted);
        channel.call("compare a queue", declare).await.map(drop)
    };
    compared.await.map_err(|error| different(queue, error))
}

/// An exchange that is missing is told from one that differs first: there is nothing to lose in making one.
async fn verify_exchange(
    connection: &Connection,
    exchange: &str,
    kind: ExchangeKind,
) -> Result<(), TopologyError> {
    require(exchange, super::has_exchange(connection, exchange).await)?;
    let compared = async {
        let channel = connection.channel().await?;
        let options = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let arguments = FieldTable::default();
        let client = channel.client();
        let declare = client.exchange_declare(exchange.into(), kind, options, arguments);
        channel.call("compare an exchange", declare).await
    };
    compared.await.map_err(|error| different(exchange, error))
}

/// One that went away since it was seen is refused for the argument that no new queue may have.
fn different(object: &str, error: BrokerError) -> TopologyError {
    if error.is_mismatch() && error.root_cause().contains(NEVER_CREATES) {
        return TopologyError::Missing {
            object: object.to_owned(),
        };
    }
    refused(object, error)
}
