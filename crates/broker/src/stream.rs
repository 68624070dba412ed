//! Reading a RabbitMQ stream over AMQP 0.9.1. The reader keeps the offset; the broker keeps none over this protocol.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use lapin::{
    Acker,
    options::BasicAckOptions,
    types::{AMQPValue, FieldTable},
};
use tokio::time::{Instant, timeout_at};

use crate::{channel::Channel, consumer::Consumer, delivery::unsigned, error::BrokerError};

/// How long a credit is kept when it need not be given back yet. Far below any consumer timeout: to the broker a message
/// without its credit is one that nobody acknowledges.
const KEEP_CREDIT: Duration = Duration::from_secs(1);

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
    /// The messages whose credits are still to be given back: the last of them, and how many. The last was handed out last,
    /// and is done when the next one is asked for.
    owed: Option<Acker>,
    /// When they are given back at the latest.
    due: Instant,
    owed_credits: u16,
    /// So many credits go back at once: an ack a message was half of what reading costs the broker.
    credits_at_once: u16,
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
            owed: None,
            due: Instant::now(),
            owed_credits: 0,
            credits_at_once: (prefetch / 4).max(1),
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
        if self.owed_credits >= self.credits_at_once {
            self.give_credits()?;
        }
        let arrival = if self.owed.is_some()
            && let Ok(arrival) = timeout_at(self.due, self.consumer.next()).await
        {
            arrival
        } else {
            self.give_credits()?;
            self.consumer.next().await
        };
        let arrival = arrival.ok_or(BrokerError::Lost { action: ACTION })?;
        let Some(delivery) = arrival else {
            return Ok(None);
        };
        let delivery = delivery.map_err(|error| BrokerError::Failed {
            action: ACTION,
            source: error.into(),
        })?;
        let headers = delivery.properties.headers().clone().unwrap_or_default();
        let offset = unsigned(&headers, OFFSET).ok_or(BrokerError::NoOffset)?;
        if self.owed.replace(delivery.acker).is_none() {
            self.due = Instant::now() + KEEP_CREDIT;
        }
        self.owed_credits += 1;
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

    /// Gives credits back; a stream knows no other meaning of an ack.
    ///
    /// The first poll of an ack queues it, and its outcome only tells that it was written: waiting for that would make
    /// messages wait for the socket. If it cannot be written, the reader's next item is an error.
    fn give_credits(&mut self) -> Result<(), BrokerError> {
        self.owed_credits = 0;
        let Some(last) = self.owed.take() else {
            return Ok(());
        };
        let up_to_it = BasicAckOptions { multiple: true };
        match last.ack(up_to_it).now_or_never() {
            None | Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(BrokerError::NotAcknowledged),
            Some(Err(error)) => Err(BrokerError::Failed {
                action: "acknowledge a stream message",
                source: error.into(),
            }),
        }
    }
}
