//! Status events as `CloudEvents` 1.0 in JSON (structured mode), one by one and as a batch.

use orderly_domain::{CommandId, OrderId, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::event::RecordedEvent;
use crate::timestamp::{self, Timestamp};
use crate::{limits, names, serde_id};

/// One status event. Attributes that this version does not know are passed over, as `CloudEvents` asks of consumers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloudEvent {
    /// Version of the `CloudEvents` specification: `1.0`.
    pub specversion: String,
    /// `{order_id}.{version}`: unique over all time, equal in every copy.
    pub id: String,
    /// `/orders/{order_id}`.
    pub source: String,
    /// As `order.placed.v1`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The order.
    #[serde(rename = "subject", with = "serde_id")]
    pub order_id: OrderId,
    /// When it was committed.
    #[serde(with = "timestamp")]
    pub time: Timestamp,
    /// The version that the event made; on the wire 20 digits, so that texts sort as numbers do.
    #[serde(rename = "sequence", with = "sequence")]
    pub version: Version,
    /// The command that made it.
    #[serde(rename = "causationid", with = "serde_id")]
    pub command_id: CommandId,
    /// W3C trace context of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// `application/json`.
    pub datacontenttype: String,
    /// The event's data.
    pub data: Box<RawValue>,
}

impl CloudEvent {
    /// The event's name, as `placed`; none if the type is not one of ours.
    #[must_use]
    pub fn event_name(&self) -> Option<&str> {
        self.event_type.strip_prefix("order.")?.strip_suffix(".v1")
    }

    /// The event as JSON (content type [`names::CLOUDEVENT_TYPE`]).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and raw JSON are always JSON")
    }

    /// Reads one event.
    ///
    /// # Errors
    /// If it is not a status event in `CloudEvents` JSON format.
    pub fn decode(bytes: &[u8]) -> Result<Self, EventsUnreadable> {
        serde_json::from_slice(bytes).map_err(EventsUnreadable)
    }
}

impl From<&RecordedEvent> for CloudEvent {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id: format!("{}.{}", event.order_id, event.version),
            source: format!("/orders/{}", event.order_id),
            event_type: names::cloudevent_type(&event.event_type),
            order_id: event.order_id,
            time: event.recorded_at,
            version: event.version,
            command_id: event.command_id,
            traceparent: event.traceparent.clone(),
            datacontenttype: names::JSON_TYPE.to_owned(),
            data: event.data.clone(),
        }
    }
}

/// The events as messages in `CloudEvents` batch format (content type [`names::CLOUDEVENTS_BATCH_TYPE`]), in order, each
/// at most [`limits::BATCH_BYTES`] unless one event alone is larger. No events make no message.
#[must_use]
pub fn encode_events(events: &[RecordedEvent]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut message = Vec::new();
    for event in events {
        let event = CloudEvent::from(event).encode();
        // Besides the event itself, a comma and the closing bracket.
        if !message.is_empty() && message.len() + event.len() + 2 > limits::BATCH_BYTES {
            message.push(b']');
            messages.push(std::mem::take(&mut message));
        }
        message.push(if message.is_empty() { b'[' } else { b',' });
        message.extend_from_slice(&event);
    }
    if !message.is_empty() {
        message.push(b']');
        messages.push(message);
    }
    messages
}

/// The events of one message in batch format.
///
/// # Errors
/// If it is not a batch of status events.
pub fn decode_events(body: &[u8]) -> Result<Vec<CloudEvent>, EventsUnreadable> {
    serde_json::from_slice(body).map_err(EventsUnreadable)
}

/// Not status events in `CloudEvents` JSON format.
#[derive(Debug, thiserror::Error)]
#[error("not status events in CloudEvents JSON format")]
pub struct EventsUnreadable(#[source] serde_json::Error);

mod sequence {
    use super::{Deserialize, Deserializer, Serializer, Version, de};

    pub(super) fn serialize<S: Serializer>(
        version: &Version,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:020}", version.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Version, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map(Version)
            .map_err(|_| de::Error::custom("sequence is not a version"))
    }
}
