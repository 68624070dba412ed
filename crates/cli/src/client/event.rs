//! Reads the event stream (text/event-stream, WHATWG HTML section 9.2). Owns the line form; knows nothing of orders.

use bytes::{Bytes, BytesMut};

use super::ClientError;

/// An event is at most a command's worth of JSON; a line far beyond that is not our server's.
const LONGEST_LINE_BYTES: usize = 4 << 20;

/// One event of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// Name of the event; empty means `message`.
    pub(crate) name: String,
    /// Position in the stream, to resume from.
    pub(crate) id: String,
    pub(crate) data: String,
}

/// An open stream.
pub(crate) struct EventReader {
    response: reqwest::Response,
    lines: Lines,
}

impl EventReader {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self {
            response,
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
            match self
                .response
                .chunk()
                .await
                .map_err(ClientError::Unreachable)?
            {
                Some(chunk) => self.lines.push(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// Bytes that came, and the event they have begun.
#[derive(Default)]
struct Lines {
    unread: BytesMut,
    event: ServerEvent,
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
            "id" => value.clone_into(&mut self.event.id),
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
                id: "7.2".into(),
                data: "{\"a\":\n1}".into(),
            };
            assert_eq!(events, [expected], "pieces of {size}");
        }
    }
}
