//! The text of the event stream (WHATWG HTML, section 9.2). Owns framing; decides nothing about what is sent.

use std::fmt::Write as _;

use bytes::Bytes;
use orderly_protocol::{CloudEvent, EventsUnreadable, decode_events, serde_json};

use super::position::{EventId, Position};
use super::ring::StreamEvent;

/// How long a browser waits before it reconnects, milliseconds: long enough that a restart of the server does not bring
/// all of them back within one moment, short enough that nobody notices.
const RETRY_MS: u32 = 2_000;

/// Why a client must read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResetReason {
    /// Events after its place are no longer kept.
    PastRetention,
    /// The stream never had its place, or lost it.
    UnknownPosition,
}

/// The events of one message, in order.
pub(super) fn events_of(offset: u64, body: &[u8]) -> Result<Vec<StreamEvent>, EventsUnreadable> {
    let events = decode_events(body)?;
    Ok((0..)
        .zip(events)
        .map(|(index, event)| stream_event(Position { offset, index }, event))
        .collect())
}

fn stream_event(position: Position, event: CloudEvent) -> StreamEvent {
    let json = String::from_utf8(event.encode()).expect("JSON is UTF-8");
    let mut frame = String::with_capacity(json.len() + 80);
    write_event(&mut frame, Some(position), &event.event_type, &json);
    StreamEvent {
        position,
        order_id: event.order_id,
        event_type: event.event_type,
        frame: frame.into(),
    }
}

/// The first lines of every stream: they also tell proxies and browsers that it is open.
pub(super) fn greeting(from: Position) -> Bytes {
    format!("retry: {RETRY_MS}\n{}\n", id_line(from)).into()
}

/// Keeps proxies from closing a quiet stream. The id moves the client's place past what its filter left out, without an
/// event: an `id` without `data` is remembered and not dispatched.
pub(super) fn heartbeat(from: Position) -> Bytes {
    format!(": heartbeat\n{}\n", id_line(from)).into()
}

/// Tells the client that events between its place and the next one are missing, and what to do.
pub(super) fn reset(reason: ResetReason) -> Bytes {
    let (reason, what) = match reason {
        ResetReason::PastRetention => (
            "past_retention",
            "Events after your last one are no longer in the stream.",
        ),
        ResetReason::UnknownPosition => (
            "unknown_position",
            "The stream does not have the event that you saw last.",
        ),
    };
    let json = serde_json::json!({
        "reason": reason,
        "detail": format!(
            "{what} Read what you show again (GET /v1/orders/{{id}}, GET /v1/orders/{{id}}/events); this stream goes on \
             with the next event that exists."
        ),
    });
    let mut frame = String::new();
    write_event(&mut frame, None, "reset", &json.to_string());
    frame.into()
}

fn id_line(from: Position) -> String {
    from.last_event_id()
        .map_or_else(String::new, |id| format!("id: {id}\n"))
}

fn write_event(frame: &mut String, position: Option<Position>, event: &str, json: &str) {
    let written = (|| {
        if let Some(position) = position {
            writeln!(frame, "id: {}", EventId(position))?;
        }
        // A line break would end the field; in JSON text it can only stand between tokens.
        writeln!(
            frame,
            "event: {}\ndata: {}\n",
            one_line(event),
            one_line(json)
        )
    })();
    written.expect("writing to a string does not fail");
}

fn one_line(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        text.replace(['\n', '\r'], " ").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, ResetReason, greeting, heartbeat, reset, write_event};

    #[test]
    fn an_event_is_three_lines_and_an_empty_one() {
        let mut frame = String::new();
        write_event(
            &mut frame,
            Some(Position {
                offset: 7,
                index: 0,
            }),
            "order.placed.v1",
            "{\"a\":\n1}",
        );
        assert_eq!(
            frame,
            "id: 7.0\nevent: order.placed.v1\ndata: {\"a\": 1}\n\n"
        );
    }

    #[test]
    fn a_heartbeat_carries_the_place() {
        assert_eq!(
            heartbeat(Position {
                offset: 7,
                index: 2
            }),
            ": heartbeat\nid: 7.1\n\n"
        );
        assert_eq!(heartbeat(Position::default()), ": heartbeat\n\n");
        assert_eq!(
            greeting(Position {
                offset: 7,
                index: 2
            }),
            "retry: 2000\nid: 7.1\n\n"
        );
    }

    #[test]
    fn a_reset_says_what_to_do() {
        let frame = String::from_utf8(reset(ResetReason::PastRetention).to_vec()).unwrap();
        assert!(frame.starts_with("event: reset\ndata: {"), "{frame}");
        assert!(
            frame.contains("\"reason\":\"past_retention\"")
                && frame.contains("GET /v1/orders/{id}"),
            "{frame}"
        );
        assert!(frame.ends_with("}\n\n"), "{frame}");
    }
}
