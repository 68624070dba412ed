//! Events as JSON. The data of an event is enough to rebuild it, and says beside it where the order stands, so that a
//! watcher needs nothing else.

use orderly_domain::{CommandId, Currency, OrderId, Status, Version};
use serde_json::value::RawValue;

use crate::field::{FieldFault, describe_faults};
use crate::timestamp::Timestamp;

mod read;
mod write;

pub use read::{parse_event, parse_event_data};
pub use write::event_data;

/// One row of the event log.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    /// What it happened to.
    pub order_id: OrderId,
    /// The version it made.
    pub version: Version,
    /// The command that made it.
    pub command_id: CommandId,
    /// Its name, as `placed`.
    pub event_type: String,
    /// As [`event_data`] wrote it.
    pub data: Box<RawValue>,
    /// When it was committed, by Postgres's clock.
    pub recorded_at: Timestamp,
    /// W3C trace context of the command.
    pub traceparent: Option<String>,
}

/// What the data of every event says of its order, as of right after the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Which order.
    pub order_id: OrderId,
    /// The version that the event made.
    pub version: Version,
    /// Where the order stands.
    pub status: Status,
    /// Whether it is held.
    pub held: bool,
    /// The shop's own id of the customer.
    pub customer_id: String,
    /// Of every amount in the event.
    pub currency: Currency,
}

/// The data of an event does not have the form of version 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventUnreadable {
    /// No event has this name.
    #[error("no event is called \"{0}\"")]
    UnknownType(String),
    /// Not JSON.
    #[error("event data is not JSON")]
    Json(#[source] crate::JsonFault),
    /// JSON of another form.
    #[error("event data is not of its type's form: {}", describe_faults(.0))]
    Form(Vec<FieldFault>),
}
