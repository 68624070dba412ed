//! One delivery: read it, then acknowledge it or let it go. There is no third thing to do with it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use lapin::{
    Acker,
    options::BasicAckOptions,
    types::{AMQPValue, FieldTable},
};
use orderly_protocol::names;
use serde_json::{Map, Value};

use crate::{
    error::BrokerError,
    link::{Link, RPC_LIMIT},
};

/// Set by quorum queues from the second delivery on: how many deliveries failed before this one.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// A message from a queue, not yet acknowledged.
///
/// Dropping it leaves it unacknowledged: the broker delivers it again, in its place, when the channel ends.
pub struct Delivery {
    /// The payload.
    pub body: Bytes,
    /// Has the broker delivered it before?
    pub redelivered: bool,
    /// How often it was delivered before and not acknowledged, by the broker's count; 0 at first. It rises for everything
    /// that was prefetched when a consumer died, so it cannot tell the culprit from its neighbours.
    pub delivery_count: u32,
    /// The header `schema`.
    pub schema: Option<String>,
    /// AMQP `content_type`.
    pub content_type: Option<String>,
    /// AMQP `message_id`.
    pub message_id: Option<String>,
    /// The routing key it was published with.
    pub routing_key: String,
    headers: FieldTable,
    acker: Acker,
    link: Arc<Link>,
}

impl Delivery {
    pub(crate) fn new(delivery: lapin::message::Delivery, link: &Arc<Link>) -> Self {
        let properties = delivery.properties;
        let headers = properties.headers().clone().unwrap_or_default();
        Self {
            body: delivery.data.into(),
            redelivered: delivery.redelivered,
            delivery_count: unsigned(&headers, DELIVERY_COUNT)
                .map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            schema: text(&headers, names::SCHEMA_HEADER),
            content_type: properties.content_type().as_ref().map(ToString::to_string),
            message_id: properties.message_id().as_ref().map(ToString::to_string),
            routing_key: delivery.routing_key.to_string(),
            headers,
            acker: delivery.acker,
            link: Arc::clone(link),
        }
    }

    /// Acknowledges this delivery and every earlier one of its subscription.
    ///
    /// `Ok` means that the ack was written; the broker confirms no ack, so a lost one means a redelivery.
    ///
    /// # Errors
    /// [`BrokerError::NotAcknowledged`] if the channel had ended, and failures of the connection. The subscription is over
    /// then: drop every delivery that is held, unprocessed.
    ///
    /// # Cancel safety
    /// If the future is dropped, the ack may or may not be written.
    pub async fn ack_through(self) -> Result<(), BrokerError> {
        let ack = self.acker.ack(BasicAckOptions { multiple: true });
        if self
            .link
            .call("acknowledge a delivery", RPC_LIMIT, ack)
            .await?
        {
            Ok(())
        } else {
            Err(BrokerError::NotAcknowledged)
        }
    }

    /// The headers as JSON, for a record of what cannot be processed. Values that JSON does not know (timestamps, bytes
    /// that are no UTF-8) become strings.
    #[must_use]
    pub fn headers_json(&self) -> Value {
        table_json(&self.headers)
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("bytes", &self.body.len())
            .field("redelivered", &self.redelivered)
            .field("delivery_count", &self.delivery_count)
            .finish_non_exhaustive()
    }
}

/// A header that is a whole number, of whatever width the broker chose.
pub(crate) fn unsigned(headers: &FieldTable, name: &str) -> Option<u64> {
    match headers.inner().get(name)? {
        AMQPValue::ShortShortInt(value) => u64::try_from(*value).ok(),
        AMQPValue::ShortShortUInt(value) => Some(u64::from(*value)),
        AMQPValue::ShortInt(value) => u64::try_from(*value).ok(),
        AMQPValue::ShortUInt(value) => Some(u64::from(*value)),
        AMQPValue::LongInt(value) => u64::try_from(*value).ok(),
        AMQPValue::LongUInt(value) => Some(u64::from(*value)),
        AMQPValue::LongLongInt(value) => u64::try_from(*value).ok(),
        _ => None,
    }
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(value) => Some(value.to_string()),
        AMQPValue::ShortString(value) => Some(value.to_string()),
        _ => None,
    }
}

fn table_json(table: &FieldTable) -> Value {
    let fields = table
        .inner()
        .iter()
        .map(|(name, value)| (name.to_string(), value_json(value)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => (*value).into(),
        AMQPValue::ShortShortInt(value) => (*value).into(),
        AMQPValue::ShortShortUInt(value) => (*value).into(),
        AMQPValue::ShortInt(value) => (*value).into(),
        AMQPValue::ShortUInt(value) => (*value).into(),
        AMQPValue::LongInt(value) => (*value).into(),
        AMQPValue::LongUInt(value) => (*value).into(),
        AMQPValue::LongLongInt(value) => (*value).into(),
        AMQPValue::Float(value) => (*value).into(),
        AMQPValue::Double(value) => (*value).into(),
        AMQPValue::ShortString(value) => value.to_string().into(),
        AMQPValue::LongString(value) => value.to_string().into(),
        AMQPValue::Timestamp(value) => value.to_string().into(),
        AMQPValue::ByteArray(value) => String::from_utf8_lossy(value.as_slice()).into(),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(value_json).collect(),
        AMQPValue::FieldTable(table) => table_json(table),
        AMQPValue::DecimalValue(value) => format!("{value:?}").into(),
        AMQPValue::Void => Value::Null,
    }
}
