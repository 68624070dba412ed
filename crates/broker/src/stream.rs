//! Reading a RabbitMQ stream over AMQP 0.9.1. The reader keeps the offset; the broker keeps none over this protocol.

use std::{
    future::{Future, pending},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use lapin::{
    Acker,
    options::BasicAckOptions,
    types::{AMQPValue, FieldTable},
};
use tokio::time::{Instant, sleep_until};

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
    owed_credits: u16,
    /// When they are given back at the latest.
    due: Instant,
    /// Credits under way to the broker. No others go before these are written: lapin sends acks that run side by side in any
    /// order, and to the broker an ack behind one for later messages is an error.
    giving: Option<Giving>,
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
            giving: None,
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
        let arrival = loop {
            if self.owed_credits >= self.credits_at_once {
                self.give_credits();
            }
            let (due, owed) = (self.due, self.owed.is_some() && self.giving.is_none());
            tokio::select! {
                biased;
                given = given(&mut self.giving) => given?,
                arrival = self.consumer.next() => break arrival,
                () = sleep_until(due), if owed => self.give_credits(),
            }
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

    /// Begins to give credits back, unless some are under way; a stream knows no other meaning of an ack.
    fn give_credits(&mut self) {
        if self.giving.is_some() {
            return;
        }
        if let Some(last) = self.owed.take() {
            self.owed_credits = 0;
            let up_to_it = BasicAckOptions { multiple: true };
            self.giving = Some(Box::pin(async move { last.ack(up_to_it).await }));
        }
    }
}

type Giving = Pin<Box<dyn Future<Output = lapin::Result<bool>> + Send>>;

/// Ends when the credits under way are written; never when none are. Cancel safe.
async fn given(giving: &mut Option<Giving>) -> Result<(), BrokerError> {
    let Some(ack) = giving else {
        return pending().await;
    };
    let written = ack.await;
    *giving = None;
    match written {
        Ok(true) => Ok(()),
        Ok(false) => Err(BrokerError::NotAcknowledged),
        Err(error) => Err(BrokerError::Failed {
            action: "acknowledge a stream message",
            source: error.into(),
        }),
    }
}
