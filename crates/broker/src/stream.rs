//! Reading a RabbitMQ stream over AMQP 0.9.1. The reader keeps the offset; the broker keeps none over this protocol.

use bytes::Bytes;
use futures_util::FutureExt;
use lapin::{
    Acker,
    options::BasicAckOptions,
    types::{AMQPValue, FieldTable},
};

use crate::{channel::Channel, consumer::Consumer, delivery::unsigned, error::BrokerError};

/// Both the consumer argument and the header of each delivery.
const OFFSET: &str = "x-stream-offset";

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOffset {
    /// With the oldest message that is kept.
    First,
    /// With the last chunk that was written: a few messages before the end.
    Last,
    /// With what is published from now on.
    Next,
    /// With the message of this offset, or the oldest one kept if that is gone.
    At(u64),
}

impl StreamOffset {
    fn argument(self) -> AMQPValue {
        match self {
            Self::First => AMQPValue::LongString("first".into()),
            Self::Last => AMQPValue::LongString("last".into()),
            Self::Next => AMQPValue::LongString("next".into()),
            // Offsets count messages from 0: one a microsecond for 292,000 years fits.
            Self::At(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
        }
    }
}

/// One message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamMessage {
    /// Its place; to resume after it, read from `offset + 1`.
    pub offset: u64,
    /// The payload.
    pub body: Bytes,
    /// AMQP `content_type`.
    pub content_type: Option<String>,
}

/// A reader of one stream, in order from its offset on.
pub struct StreamReader {
    consumer: Consumer,
    /// The message that was handed out last: asking for the next one gives its credit back.
    unacked: Option<Acker>,
    over: bool,
}

impl StreamReader {
    pub(crate) async fn open(
        channel: Channel,
        stream: &str,
        from: StreamOffset,
        prefetch: u16,
    ) -> Result<Self, BrokerError> {
        let mut arguments = FieldTable::default();
        arguments.insert(OFFSET.into(), from.argument());
        // Streams refuse a consumer without a prefetch (406).
        let consumer = Consumer::start_with_prefetch(channel, stream, prefetch, arguments).await?;
        Ok(Self {
            consumer,
            unacked: None,
            over: false,
        })
    }

    /// The next message; waits for it. `None` after an error, or when the stream was deleted: the reader is over, and
    /// another one resumes from the offset after the last message.
    ///
    /// # Cancel safety
    /// Safe: no message is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<StreamMessage, BrokerError>> {
        if self.over {
            return None;
        }
        let next = self.read().await.transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }

    async fn read(&mut self) -> Result<Option<StreamMessage>, BrokerError> {
        const ACTION: &str = "read a stream";
        if let Some(acker) = self.unacked.take() {
            give_credit(&acker)?;
        }
        let arrival = self
            .consumer
            .next()
            .await
            .ok_or(BrokerError::Lost { action: ACTION })?;
        let Some(delivery) = arrival else {
            return Ok(None);
        };
        let delivery = delivery.map_err(|error| BrokerError::Failed {
            action: ACTION,
            source: error.into(),
        })?;
        let headers = delivery.properties.headers().clone().unwrap_or_default();
        let offset = unsigned(&headers, OFFSET).ok_or(BrokerError::NoOffset)?;
        self.unacked = Some(delivery.acker);
        Ok(Some(StreamMessage {
            offset,
            body: delivery.data.into(),
            content_type: delivery
                .properties
                .content_type()
                .as_ref()
                .map(ToString::to_string),
        }))
    }
}

/// Gives one credit back; a stream knows no other meaning of an ack.
///
/// The first poll of an ack queues it, and its outcome only tells that it was written: waiting for that would make every
/// message wait for the socket. If it cannot be written, the reader's next item is an error.
fn give_credit(acker: &Acker) -> Result<(), BrokerError> {
    match acker.ack(BasicAckOptions::default()).now_or_never() {
        None | Some(Ok(true)) => Ok(()),
        Some(Ok(false)) => Err(BrokerError::NotAcknowledged),
        Some(Err(error)) => Err(BrokerError::Failed {
            action: "acknowledge a stream message",
            source: error.into(),
        }),
    }
}
