//! When each command's event reached a subscriber of the stream `orders.events.log`.
//!
//! That is later than its commit by the publish of the event and its way here: an upper bound of "applied", taken on the
//! clock that stamped the request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, Consumer};
use orderly_domain::CommandId;
use orderly_protocol::names;
use uuid::Uuid;

use crate::clock::Clock;
use crate::load::{Answer, Sent};

/// Messages that the broker may send ahead: several times what arrives between two acks.
const CREDIT: u16 = 1_024;
/// An ack costs a frame; a stream only counts credit by it.
const MESSAGES_PER_ACK: u64 = 128;
/// Before each command id in a message of events.
const ID_FIELD: &[u8] = b"\"causationid\":\"";
/// Between two looks at whether everything has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// A queue that does not move for so long is stuck.
const STALL: Duration = Duration::from_secs(15);

/// A subscriber that lives as long as its deployment.
pub(crate) struct Watcher {
    seen: Arc<Mutex<HashMap<CommandId, u64>>>,
    /// Ends the subscription when dropped.
    _connection: Connection,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl Watcher {
    /// Subscribes to everything from now on.
    pub(crate) async fn start(amqp_url: &str, clock: Clock) -> Result<Self> {
        let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(CREDIT, BasicQosOptions::default())
            .await?;
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-stream-offset".into(),
            AMQPValue::LongString("next".into()),
        );
        let consumer = channel
            .basic_consume(
                names::EVENTS_STREAM.into(),
                "bench".into(),
                BasicConsumeOptions::default(),
                arguments,
            )
            .await
            .context("subscribe to the stream of events")?;
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let task = tokio::spawn(watch(consumer, clock, Arc::clone(&seen)));
        Ok(Self {
            seen,
            _connection: connection,
            task,
        })
    }

    /// What was seen, and forgets it.
    pub(crate) fn take(&self) -> HashMap<CommandId, u64> {
        std::mem::take(&mut *self.lock())
    }

    /// Waits until every accepted command was seen. Says whether they were; not if nothing came for 15 s. Counting would not
    /// do: events of other commands, such as those that placed the orders, still arrive.
    pub(crate) async fn reached(&self, sent: &[Sent]) -> Result<bool> {
        let mut missing = sent
            .iter()
            .filter(|sent| sent.answer == Answer::Accepted)
            .peekable();
        let mut last = (0, tokio::time::Instant::now());
        loop {
            let seen = {
                let seen = self.lock();
                while missing
                    .next_if(|sent| seen.contains_key(&sent.command_id))
                    .is_some()
                {}
                seen.len()
            };
            if missing.peek().is_none() {
                return Ok(true);
            }
            if self.task.is_finished() {
                bail!("the subscription to the stream of events ended");
            }
            if seen > last.0 {
                last = (seen, tokio::time::Instant::now());
            } else if last.1.elapsed() > STALL {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CommandId, u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn watch(
    mut consumer: Consumer,
    clock: Clock,
    seen: Arc<Mutex<HashMap<CommandId, u64>>>,
) -> Result<()> {
    let mut messages: u64 = 0;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let now = clock.now();
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            for command_id in command_ids(&delivery.data) {
                // A late duplicate is allowed; the first copy counts.
                seen.entry(command_id).or_insert(now);
            }
        }
        messages += 1;
        if messages.is_multiple_of(MESSAGES_PER_ACK) {
            delivery.ack(BasicAckOptions { multiple: true }).await?;
        }
    }
    Ok(())
}

/// The command ids of a message, without reading the rest of it.
fn command_ids(body: &[u8]) -> impl Iterator<Item = CommandId> {
    memchr::memmem::find_iter(body, ID_FIELD).filter_map(|at| {
        let start = at + ID_FIELD.len();
        let id = body.get(start..start + uuid::fmt::Hyphenated::LENGTH)?;
        Uuid::try_parse_ascii(id).ok().map(CommandId)
    })
}

#[cfg(test)]
mod tests {
    use orderly_domain::{OrderId, Version};
    use orderly_protocol::serde_json::value::RawValue;
    use orderly_protocol::{RecordedEvent, encode_events};

    use super::*;

    #[test]
    fn every_command_id_of_a_message_is_found() {
        let event = |number: u128| RecordedEvent {
            order_id: OrderId(Uuid::from_u128(1)),
            version: Version(2),
            command_id: CommandId(Uuid::from_u128(number)),
            event_type: "annotated".to_owned(),
            data: RawValue::from_string("{}".to_owned()).unwrap(),
            recorded_at: time::OffsetDateTime::UNIX_EPOCH,
            traceparent: None,
        };
        let messages = encode_events(&[event(5), event(6)]);
        let ids: Vec<u128> = command_ids(&messages[0]).map(|id| id.0.as_u128()).collect();
        assert_eq!(ids, [5, 6]);
    }
}
