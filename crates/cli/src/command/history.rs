//! Status events as commands print them, and the history of one order.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    client::{Call, Client, ClientError},
    output::{Format, RowStream, plain},
};

/// The columns of an event and how wide each is: a time to the microsecond, a UUID, a version, the longest names.
const HEAD: [(&str, usize); 5] = [
    ("time", 27),
    ("order", 36),
    ("version", 7),
    ("event", 18),
    ("status", 17),
];

/// Prints events as they come.
pub(super) fn event_rows(format: Format) -> RowStream<5> {
    RowStream::new(format, HEAD, |event| {
        let text = |pointer: &str| event.pointer(pointer).map(plain).unwrap_or_default();
        let event_type = text("/type");
        let name = event_type
            .strip_prefix("order.")
            .and_then(|rest| rest.strip_suffix(".v1"))
            .unwrap_or(&event_type);
        [
            text("/time"),
            text("/data/order_id"),
            format!("{:>7}", text("/data/version")),
            name.to_owned(),
            super::filter::standing(&event["data"]),
        ]
    })
}

/// The version that an event made.
pub(super) fn version(event: &Value) -> u64 {
    event
        .pointer("/data/version")
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

/// Every event of the order after version `after`, oldest first.
pub(super) async fn events_after(
    client: &Client,
    order_id: Uuid,
    after: u64,
) -> Result<Vec<Value>, ClientError> {
    let mut events = Vec::new();
    let mut next = Some(format!(
        "/v1/orders/{order_id}/events?after={after}&limit=200"
    ));
    while let Some(path) = next {
        let mut page = client.fetch(&Call::get(&path)).await?;
        if let Some(Value::Array(read)) = page.get_mut("events").map(Value::take) {
            events.extend(read);
        }
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
    }
    Ok(events)
}
