//! What RabbitMQ itself can do: confirmed publishes of one command's message to quorum queues like those of shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
};
use orderly_domain::{OrderId, ProducerId};
use orderly_protocol::{Envelope, ShardId, encode_commands, fingerprint, names};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::clock::{Clock, nanos};
use crate::latency::Latency;
use crate::load::{Pace, Pacer, annotation, command_id};

/// Queues, as a default layout has.
pub(crate) const SHARDS: i32 = 16;
/// Channels with one publish outstanding each.
pub(crate) const CHANNELS: usize = 32;
/// Twice what a confirm may take anywhere else.
const CONFIRM_LIMIT: Duration = Duration::from_secs(20);

/// Channels to queues of their own.
pub(crate) struct Publishers {
    channels: Vec<Channel>,
    message: Vec<u8>,
    _connection: Connection,
}

/// What was confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmed {
    pub(crate) per_second: f64,
    pub(crate) latency: Option<Latency>,
}

impl Publishers {
    /// Declares exchange and queues as Orderly does, but without a maximum length: nobody consumes.
    pub(crate) async fn open(amqp_url: &str) -> Result<Self> {
        let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
        let setup = connection.create_channel().await?;
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        setup
            .exchange_declare(
                names::COMMANDS_EXCHANGE.into(),
                ExchangeKind::Direct,
                durable,
                FieldTable::default(),
            )
            .await?;
        for shard in 0..SHARDS {
            let shard = ShardId {
                generation: 1,
                shard,
            };
            let durable = QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            };
            setup
                .queue_declare(shard.queue().into(), durable, quorum())
                .await?;
            setup
                .queue_bind(
                    shard.queue().into(),
                    names::COMMANDS_EXCHANGE.into(),
                    shard.routing_key().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        let mut channels = Vec::with_capacity(CHANNELS);
        for _ in 0..CHANNELS {
            channels.push(confirming(&connection).await?);
        }
        Ok(Self {
            channels,
            message: encode_commands([envelope(Uuid::now_v7(), 1).as_slice()]),
            _connection: connection,
        })
    }

    /// Bytes of a message.
    pub(crate) fn message_bytes(&self) -> usize {
        self.message.len()
    }

    /// Publishes on all channels until the time is over, then empties the queues.
    pub(crate) async fn run(
        &self,
        pace: Pace,
        clock: Clock,
        warm_up: Duration,
        measured: Duration,
    ) -> Result<Confirmed> {
        let begin = clock.now();
        let from = begin + nanos(warm_up);
        let until = from + nanos(measured);
        let pacer = Pacer::start(pace, clock, begin, until);
        let count = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for (index, channel) in (0..).zip(&self.channels) {
            let shard = ShardId {
                generation: 1,
                shard: index % SHARDS,
            };
            let (channel, pacer, count) = (channel.clone(), pacer.clone(), Arc::clone(&count));
            let (key, message) = (shard.routing_key(), self.message.clone());
            tasks.push(tokio::spawn(async move {
                let mut latencies = Vec::new();
                while let Some(due) = pacer.next().await {
                    publish(&channel, &key, &message).await?;
                    let now = clock.now();
                    if (from..until).contains(&due) {
                        latencies.push(now - due);
                    }
                    if (from..until).contains(&now) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok::<_, anyhow::Error>(latencies)
            }));
        }
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.append(&mut task.await.context("a publisher panicked")??);
        }
        self.empty().await?;
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let per_second = count.load(Ordering::Relaxed) as f64 / measured.as_secs_f64();
        Ok(Confirmed {
            per_second,
            latency: Latency::of(latencies),
        })
    }

    async fn empty(&self) -> Result<()> {
        for shard in 0..SHARDS {
            let queue = ShardId {
                generation: 1,
                shard,
            }
            .queue();
            self.channels[0]
                .queue_purge(queue.into(), QueuePurgeOptions::default())
                .await?;
        }
        Ok(())
    }
}

/// A channel that confirms.
pub(crate) async fn confirming(connection: &Connection) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok(channel)
}

/// Publishes one message and waits until a queue has stored it.
pub(crate) async fn publish(channel: &Channel, key: &str, message: &[u8]) -> Result<()> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let mut headers = FieldTable::default();
    headers.insert(
        names::SCHEMA_HEADER.into(),
        AMQPValue::LongString(names::COMMANDS_SCHEMA.into()),
    );
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type(names::JSON_TYPE.into())
        .with_headers(headers);
    let confirm = async {
        channel
            .basic_publish(
                names::COMMANDS_EXCHANGE.into(),
                key.into(),
                mandatory,
                message,
                properties,
            )
            .await?
            .await
    };
    match tokio::time::timeout(CONFIRM_LIMIT, confirm).await {
        Ok(Ok(Confirmation::Ack(None))) => Ok(()),
        Ok(Ok(other)) => bail!("a publish was answered with {other:?}"),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => bail!("no confirm within {} s", CONFIRM_LIMIT.as_secs()),
    }
}

/// An `annotate` for this order as the ingress would have enveloped it.
pub(crate) fn envelope(order_id: Uuid, number: u64) -> Vec<u8> {
    let key = format!("{number:016x}");
    let (producer, data) = (ProducerId(Uuid::nil()), annotation(&key));
    let order_id = OrderId(order_id);
    Envelope {
        command_id: command_id(producer, number),
        order_id,
        action_type: "annotate".to_owned(),
        data: orderly_protocol::serde_json::value::to_raw_value(&data)
            .expect("a JSON value is always JSON"),
        expected_version: None,
        producer,
        idempotency_key: Some(key),
        fingerprint: fingerprint("annotate", Some(order_id), &data, None),
        accepted_at: OffsetDateTime::now_utc(),
        traceparent: None,
        reply_to: None,
    }
    .encode()
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    arguments.insert("x-single-active-consumer".into(), true.into());
    arguments.insert("x-delivery-limit".into(), 2_000_000_000_i64.into());
    arguments.insert(
        "x-queue-leader-locator".into(),
        AMQPValue::LongString("balanced".into()),
    );
    arguments
}
