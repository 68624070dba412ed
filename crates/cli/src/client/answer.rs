//! What a server answered, whatever it was. Owns the reading of status, headers and body.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Response},
};
use serde_json::Value;
use url::Url;

use super::{ClientError, Refusal, transport::within, unreachable};

/// A page of the largest events has 20 MB.
const LONGEST_ANSWER_BYTES: usize = 64 << 20;

/// What came back, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The server had this command already.
    pub(crate) replayed: bool,
    /// Where to ask on, with the receipt.
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Value,
}

impl Answer {
    pub(super) async fn read(
        response: Response<Body>,
        base: &Url,
        limit: Duration,
    ) -> Result<Self, ClientError> {
        let (head, body) = response.into_parts();
        let body = within(limit, to_bytes(body, LONGEST_ANSWER_BYTES)).await;
        let body = body.map_err(|error| unreachable(base, error))?;
        let status = head.status.as_u16();
        let retry_after = text(&head.headers, "Retry-After")
            .and_then(|value| value.parse().ok())
            .map(Duration::from_secs);
        Ok(Self {
            status,
            replayed: text(&head.headers, "Idempotent-Replayed")
                .is_some_and(|value| value == "true"),
            location: text(&head.headers, "Location").map(str::to_owned),
            retry_after,
            body: json(&body, status)?,
        })
    }

    /// The lines of a success.
    pub(super) async fn read_lines(
        response: Response<Body>,
        base: &Url,
        limit: Duration,
    ) -> Result<Vec<Value>, ClientError> {
        if !response.status().is_success() {
            let refused = Self::read(response, base, limit).await?.success();
            return refused.and(Err(ClientError::Unreadable));
        }
        let body = within(limit, to_bytes(response.into_body(), LONGEST_ANSWER_BYTES)).await;
        let body = body.map_err(|error| unreachable(base, error))?;
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).map_err(|_| ClientError::Unreadable))
            .collect()
    }

    /// 429 and the statuses of a server, or of a proxy before it, that cannot answer now.
    pub(super) fn asks_for_patience(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }

    /// The answer, if its status says success.
    pub(crate) fn success(self) -> Result<Self, ClientError> {
        match (self.status, self.location) {
            (200..300, location) => Ok(Self { location, ..self }),
            (300..400, Some(location)) => Err(ClientError::Moved { location }),
            (status, _) => Err(ClientError::Refused(Refusal::of(status, &self.body))),
        }
    }

    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer).and_then(Value::as_str)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An error page of something in between is not JSON; its status is still worth telling.
fn json(bytes: &Bytes, status: u16) -> Result<Value, ClientError> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(_) if bytes.is_empty() || status >= 300 => Ok(Value::Null),
        Err(_) => Err(ClientError::Unreadable),
    }
}
