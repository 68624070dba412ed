//! Reads the event stream (text/event-stream, WHATWG HTML section 9.2). Owns the line form; knows nothing of orders.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use bytes::BytesMut;
use futures_util::StreamExt;
use url::Url;

use super::{ClientError, transport::within, unreachable};

/// An event is at most a command's worth of JSON; a line far beyond that is not our server's.
const LONGEST_LINE_BYTES: usize = 4 << 20;
/// Three missed heartbeat comments (15 s each): the connection is dead, whatever TCP believes.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);

/// One event of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// Name of the event; empty means `message`.
    pub(crate) name: String,
    pub(crate) data: String,
}

/// An open stream.
pub(crate) struct EventReader {
    body: BodyDataStream,
    base: Url,
    lines: Lines,
}

impl EventReader {
    pub(crate) fn new(body: Body, base: Url) -> Self {
        Self {
            body: body.into_data_stream(),
            base,
            lines: Lines::default(),
        }
    }

    /// The next event, or `None` when the server ended the stream. Safe to cancel: nothing read is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerEvent>, ClientError> {
        loop {
            if let Some(event) = self.lines.event() {
                return Ok(Some(event));
            }
            if self.lines.unread.len() > LONGEST_LINE_BYTES {
                return Err(ClientError::Unreadable);
            }
            let read = async { self.body.next().await.transpose() };
            match within(SILENCE_LIMIT, read).await {
                Ok(Some(chunk)) => self.lines.push(&chunk),
                Ok(None) => return Ok(None),
                Err(error) => return Err(unreachable(&self.base, error)),
            }
        }
    }

    /// Where the stream goes on after what was read: the last id that came, with an event or without one.
    pub(crate) fn last_event_id(&self) -> Option<&str> {
        self.lines.last_event_id.as_deref()
    }
}

/// Bytes that came, and the event they have begun.
#[derive(Default)]
struct Lines {
    unread: BytesMut,
    event: ServerEvent,
    last_event_id: Option<String>,
}

impl Lines {
    fn push(&mut self, chunk: &Bytes) {
        self.unread.extend_from_slice(chunk);
    }

    /// The next whole event.
    fn event(&mut self) -> Option<ServerEvent> {
        while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
            let line = self.unread.split_to(end + 1);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if !line.is_empty() {
                self.field(line);
            } else if !self.event.data.is_empty() || !self.event.name.is_empty() {
                return Some(std::mem::take(&mut self.event));
            }
        }
        None
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.last_event_id = Some(value.to_owned()),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment (the heartbeat), `retry`, or a field of a later version.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Lines, ServerEvent};

    #[test]
    fn an_event_may_arrive_in_any_pieces() {
        let text = ": heartbeat\n\nid: 7.2\nevent: order.placed.v1\ndata: {\"a\":\ndata: 1}\n\n";
        for size in [1, 2, 7, text.len()] {
            let mut lines = Lines::default();
            let mut events = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                lines.push(&Bytes::copy_from_slice(piece));
                events.extend(lines.event());
            }
            let expected = ServerEvent {
                name: "order.placed.v1".into(),
                data: "{\"a\":\n1}".into(),
            };
            assert_eq!(events, [expected], "pieces of {size}");
            assert_eq!(lines.last_event_id.as_deref(), Some("7.2"));
        }
    }

    #[test]
    fn an_id_without_an_event_moves_the_place() {
        let mut lines = Lines::default();
        lines.push(&Bytes::from_static(
            b"retry: 2000\nid: 7.1\n\n: heartbeat\nid: 9.0\n\n",
        ));
        assert_eq!(lines.event(), None);
        assert_eq!(lines.last_event_id.as_deref(), Some("9.0"));
    }
}
