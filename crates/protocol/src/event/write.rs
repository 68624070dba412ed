//! Writes the data of an event.

use orderly_domain::{Effect, Event, Order};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::write::{Json, entry_if_some};

/// The data of `event`, which made `after` of its order: where the order stands, the event's own fields, and its effect.
#[must_use]
pub fn event_data(after: &Order, event: &Event) -> Box<RawValue> {
    serde_json::value::to_raw_value(&EventData { after, event })
        .expect("string keys and plain values are always JSON")
}

struct EventData<'a> {
    after: &'a Order,
    event: &'a Event,
}

impl Serialize for EventData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { after, event } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("order_id", &Json(&after.order_id))?;
        map.serialize_entry("version", &Json(&after.version))?;
        map.serialize_entry("status", after.status.as_str())?;
        map.serialize_entry("held", &after.held())?;
        map.serialize_entry("customer_id", &after.customer_id)?;
        map.serialize_entry("currency", &Json(&after.currency))?;
        write_fields(event, &mut map)?;
        if matches!(event, Event::Placed { .. } | Event::Amended { .. }) {
            map.serialize_entry("total_minor", &after.total_minor())?;
        }
        entry_if_some(&mut map, "effect", event.effect().map(Json))?;
        map.end()
    }
}

/// The event's own fields, except those that stand in the header (customer, currency) and its effect.
fn write_fields<M: SerializeMap>(event: &Event, map: &mut M) -> Result<(), M::Error> {
    match event {
        Event::Placed { lines, note, .. } => {
            map.serialize_entry("lines", &Json(lines))?;
            entry_if_some(map, "note", note.as_ref())
        }
        Event::Amended { lines } => map.serialize_entry("lines", &Json(lines)),
        Event::AddressSet { address } => map.serialize_entry("address", &Json(address)),
        Event::Annotated { key, value } => {
            map.serialize_entry("key", key)?;
            map.serialize_entry("value", value)
        }
        Event::Held { reason } | Event::Cancelled { reason, .. } => {
            map.serialize_entry("reason", reason)
        }
        Event::PaymentRequested {
            payment_id,
            amount_minor,
            method,
        } => {
            map.serialize_entry("payment_id", &Json(payment_id))?;
            map.serialize_entry("amount_minor", amount_minor)?;
            map.serialize_entry("method", method)
        }
        Event::PaymentWaived { method } => map.serialize_entry("method", method),
        Event::PaymentAuthorized {
            payment_id,
            amount_minor,
            reference,
            ..
        }
        | Event::PaymentCaptured {
            payment_id,
            amount_minor,
            reference,
            ..
        } => {
            map.serialize_entry("payment_id", &Json(payment_id))?;
            map.serialize_entry("amount_minor", amount_minor)?;
            map.serialize_entry("reference", reference)
        }
        Event::PaymentDeclined {
            payment_id,
            reference,
        } => {
            map.serialize_entry("payment_id", &Json(payment_id))?;
            map.serialize_entry("reference", reference)
        }
        Event::Shipped {
            lines,
            carrier,
            tracking,
        } => {
            map.serialize_entry("lines", &Json(lines))?;
            map.serialize_entry("carrier", carrier)?;
            map.serialize_entry("tracking", tracking)
        }
        Event::RefundRequested {
            refund_id,
            payment_id,
            amount_minor,
            reason,
        } => {
            map.serialize_entry("refund_id", &Json(refund_id))?;
            map.serialize_entry("payment_id", &Json(payment_id))?;
            map.serialize_entry("amount_minor", amount_minor)?;
            map.serialize_entry("reason", reason)
        }
        Event::RefundCompleted {
            refund_id,
            amount_minor,
        }
        | Event::RefundFailed {
            refund_id,
            amount_minor,
        } => {
            map.serialize_entry("refund_id", &Json(refund_id))?;
            map.serialize_entry("amount_minor", amount_minor)
        }
        Event::Returned { lines } => map.serialize_entry("lines", &Json(lines)),
        Event::Released | Event::Delivered => Ok(()),
    }
}

impl Serialize for Json<'_, Effect> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Effect::Void { payment_id } => {
                map.serialize_entry("type", "void")?;
                map.serialize_entry("payment_id", &Json(payment_id))?;
            }
            Effect::Refund {
                refund_id,
                payment_id,
                amount_minor,
            } => {
                map.serialize_entry("type", "refund")?;
                map.serialize_entry("refund_id", &Json(refund_id))?;
                map.serialize_entry("payment_id", &Json(payment_id))?;
                map.serialize_entry("amount_minor", amount_minor)?;
            }
        }
        map.end()
    }
}
