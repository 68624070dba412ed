//! A message to publish and what the broker said to it. Owns the AMQP properties; names no exchange.

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use orderly_protocol::{Marker, names};

/// Delivery mode 2; without it a quorum queue still stores the message, but a classic queue or a stream's reader may be
/// told otherwise, so it is always written out.
const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The payload.
    pub body: Bytes,
    /// MIME type of the payload.
    pub content_type: &'static str,
    /// Value of the header `schema`, by which a consumer knows whether it can read the payload.
    pub schema: Option<&'static str>,
    /// AMQP `message_id`; the broker gives it no meaning.
    pub message_id: Option<String>,
    /// Must it survive a restart of the broker?
    pub persistent: bool,
}

impl Message {
    /// A group of commands for one shard: JSON of schema `order-commands.v1`, persistent.
    pub fn commands(body: impl Into<Bytes>) -> Self {
        Self {
            schema: Some(names::COMMANDS_SCHEMA),
            ..Self::persistent(body, names::JSON_TYPE)
        }
    }

    /// A marker among the commands of a shard: JSON of schema `order-markers.v1`, persistent.
    #[must_use]
    pub fn marker(marker: Marker) -> Self {
        Self {
            schema: Some(names::MARKERS_SCHEMA),
            ..Self::persistent(marker.encode(), names::JSON_TYPE)
        }
    }

    /// A persistent message of this content type.
    pub fn persistent(body: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self {
            body: body.into(),
            content_type,
            schema: None,
            message_id: None,
            persistent: true,
        }
    }

    /// A message that may be lost: a reply to a waiter.
    pub fn transient(body: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self {
            persistent: false,
            ..Self::persistent(body, content_type)
        }
    }

    pub(crate) fn properties(&self) -> BasicProperties {
        let mode = if self.persistent {
            PERSISTENT
        } else {
            TRANSIENT
        };
        let mut properties = BasicProperties::default()
            .with_delivery_mode(mode)
            .with_content_type(self.content_type.into());
        if let Some(schema) = self.schema {
            let mut headers = FieldTable::default();
            headers.insert(
                names::SCHEMA_HEADER.into(),
                AMQPValue::LongString(schema.into()),
            );
            properties = properties.with_headers(headers);
        }
        if let Some(id) = &self.message_id {
            properties = properties.with_message_id(id.as_str().into());
        }
        properties
    }
}

/// What the broker said to a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// Every queue it was routed to has stored it (`basic.ack`; a quorum queue has then synced it on a majority).
    Stored,
    /// No queue is bound by its routing key (`basic.return`): nothing is stored.
    Returned,
    /// A queue refused it (`basic.nack`; a full queue with `x-overflow=reject-publish`): nothing is stored, if it went
    /// to one queue only.
    Refused,
}

impl Confirm {
    /// Name as a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Returned => "returned",
            Self::Refused => "refused",
        }
    }
}
