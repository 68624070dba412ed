//! Statuses and kinds of events as people type them, and orders as tables show them.

use orderly_domain::{Event, Status};
use serde_json::Value;
use uuid::Uuid;

use crate::output::plain;

/// The id of an order.
pub(super) fn order_id(text: &str) -> Result<Uuid, &'static str> {
    text.parse()
        .map_err(|_| "not a UUID, such as 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f")
}

/// A status by its name.
pub(super) fn status(text: &str) -> Result<Status, String> {
    Status::parse(text).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        format!("one of {known}")
    })
}

/// The type of an event: `shipped` is short for `order.shipped.v1`.
pub(super) fn event_type(text: &str) -> Result<String, String> {
    let name = text
        .strip_prefix("order.")
        .and_then(|rest| rest.strip_suffix(".v1"))
        .unwrap_or(text);
    if Event::NAMES.contains(&name) {
        Ok(format!("order.{name}.v1"))
    } else {
        Err(format!("one of {}", Event::NAMES.join(", ")))
    }
}

/// The status of an order, and whether it is held.
pub(super) fn standing(order: &Value) -> String {
    let status = order.get("status").map(plain).unwrap_or_default();
    match order.get("held").and_then(Value::as_bool) {
        Some(true) => format!("{status}, held"),
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::event_type;

    #[test]
    fn a_type_may_be_typed_short_or_whole() {
        for text in ["shipped", "order.shipped.v1"] {
            assert_eq!(event_type(text).as_deref(), Ok("order.shipped.v1"));
        }
        for text in ["sent", "order.sent.v1", "order.shipped", "order.shipped.v2"] {
            assert!(event_type(text).is_err(), "{text}");
        }
    }
}
