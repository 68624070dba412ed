//! What the broker's user is really allowed: asked by calls that change nothing, whatever the answer.

use lapin::options::{BasicConsumeOptions, ExchangeUnbindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use orderly_protocol::{Marker, ShardId, names};

use crate::{
    channel::Channel, connection::Connection, consumer::Consumer, error::BrokerError,
    message::Message,
};

/// A right that a role needs and the user does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRight {
    /// `configure`, `write` or `read`, as `rabbitmqctl set_permissions` names them.
    pub right: &'static str,
    /// The queue or exchange; the default exchange is `amq.default`.
    pub object: String,
    /// The roles that need it.
    pub roles: &'static str,
}

/// The rights to objects that exist, found missing one by one. `shard` is one of the generation that takes commands. The connection may be
/// lost by it.
///
/// # Errors
/// The connection is lost, an object does not exist, or the broker did not answer.
pub async fn missing_rights(
    connection: &Connection,
    shard: ShardId,
) -> Result<Vec<MissingRight>, BrokerError> {
    let queue = shard.queue();
    let mut missing = Vec::new();
    let mut note = |held: bool, right, object: &str, roles| {
        if !held {
            missing.push(MissingRight {
                right,
                object: object.to_owned(),
                roles,
            });
        }
    };
    note(
        may_read(connection, &queue).await?,
        "read",
        &queue,
        "worker",
    );
    let stream = names::EVENTS_STREAM;
    let readers = "relay, dashboard";
    note(may_read(connection, stream).await?, "read", stream, readers);
    let payments = names::PAYMENTS_QUEUE;
    note(
        may_read(connection, payments).await?,
        "read",
        payments,
        "payments",
    );
    let commands = names::COMMANDS_EXCHANGE;
    let unbind = may_unbind(connection, &queue, commands).await?;
    note(unbind, "read", commands, "worker, for a resize");
    let events = names::EVENTS_EXCHANGE;
    let copies = may_bind_to(connection, commands, events).await?;
    note(copies, "write", events, "relay");
    let reply = names::reply_queue("doctor");
    let replies = may_hold(connection, &reply).await?;
    note(replies, "configure", &reply, "ingress");
    // Last: a publish that is refused ends its connection.
    let direct = may_publish_directly(connection).await?;
    note(direct, "write", "amq.default", "worker");
    Ok(missing)
}

/// Asks to consume with an argument that no consumer may have, which is looked at after the right.
async fn may_read(connection: &Connection, queue: &str) -> Result<bool, BrokerError> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongString("none".into()));
    let options = BasicConsumeOptions::default();
    let channel = connection.channel().await?;
    let consumer = Consumer::start(channel, queue, options, arguments).await;
    match consumer.map(drop) {
        Err(error) if error.is_mismatch() => Ok(true),
        answer => allowed(answer),
    }
}

/// Publishes to a queue that does not exist: what is allowed comes back.
async fn may_publish_directly(connection: &Connection) -> Result<bool, BrokerError> {
    let mut publisher = connection.publisher().await?;
    let nobody = names::reply_queue("nobody");
    let probe = Message::marker(Marker::Probe);
    let answer = publisher.probe("", &nobody, &probe).await;
    allowed(answer.map(drop).map_err(|unknown| unknown.0))
}

/// Takes away a binding that there is not.
async fn may_unbind(
    connection: &Connection,
    queue: &str,
    exchange: &str,
) -> Result<bool, BrokerError> {
    let channel = connection.channel().await?;
    let unbind = channel.client().queue_unbind(
        queue.into(),
        exchange.into(),
        NO_KEY.into(),
        FieldTable::default(),
    );
    allowed(channel.call("ask for a right", unbind).await)
}

/// The same between two exchanges: to lead messages into one is to write to it.
async fn may_bind_to(
    connection: &Connection,
    source: &str,
    destination: &str,
) -> Result<bool, BrokerError> {
    let channel = connection.channel().await?;
    let unbind = channel.client().exchange_unbind(
        destination.into(),
        source.into(),
        NO_KEY.into(),
        ExchangeUnbindOptions::default(),
        FieldTable::default(),
    );
    allowed(channel.call("ask for a right", unbind).await)
}

/// Declares a queue that goes with this channel's connection.
async fn may_hold(connection: &Connection, queue: &str) -> Result<bool, BrokerError> {
    let channel: Channel = connection.channel().await?;
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..Default::default()
    };
    let declare = channel
        .client()
        .queue_declare(queue.into(), options, FieldTable::default());
    match channel.call("ask for a right", declare).await.map(drop) {
        // Somebody else asks just now.
        Err(error) if error.is_locked() => Ok(true),
        answer => allowed(answer),
    }
}

/// No binding has it: those of shards begin with `g`, those of events with `order.`.
const NO_KEY: &str = "nobody";

fn allowed(answer: Result<(), BrokerError>) -> Result<bool, BrokerError> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.is_access_refused() => Ok(false),
        Err(error) => Err(error),
    }
}
