//! The body of a request, as JSON: bounded in bytes, in depth and in time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use orderly_protocol::limits::BODY_BYTES;
use orderly_protocol::{ProblemCode, parse_json};
use serde_json::Value;

use crate::ProblemResponse;

/// How long a client may take to send its body: 256 kB in 10 s is slower than any link in use, and a client that stops
/// midway must not hold its connection.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body without duplicate keys. Refuses with 413, 415, 408 or 400 that names the place.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, ProblemResponse> {
        if !is_json(request.headers()) {
            let detail = "send the body as Content-Type: application/json";
            return Err(ProblemResponse::new(
                ProblemCode::UnsupportedMediaType,
                detail,
            ));
        }
        let bytes = read(request, state).await?;
        parse_json(&bytes)
            .map(Self)
            .map_err(|fault| ProblemResponse::new(ProblemCode::MalformedJson, fault.detail))
    }
}

/// A body of one JSON value a line (`application/x-ndjson`): the lines, not read yet, without empty ones. Refuses with 413,
/// 415 or 408.
#[derive(Clone, Debug, PartialEq)]
pub struct NdjsonBody(Bytes);

impl NdjsonBody {
    /// The lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.0.split(|byte| *byte == b'\n');
        lines.filter(|line| !line.trim_ascii().is_empty())
    }
}

impl<S: Send + Sync> FromRequest<S> for NdjsonBody {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, ProblemResponse> {
        if !is_ndjson(request.headers()) {
            let detail = "send the body as Content-Type: application/x-ndjson";
            return Err(ProblemResponse::new(
                ProblemCode::UnsupportedMediaType,
                detail,
            ));
        }
        read(request, state).await.map(Self)
    }
}

async fn read<S: Send + Sync>(request: Request<Body>, state: &S) -> Result<Bytes, ProblemResponse> {
    match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) => Err(unread(&rejection)),
        Err(_) => {
            let detail = "the body did not arrive within 10 seconds";
            Err(ProblemResponse::new(ProblemCode::RequestTimeout, detail))
        }
    }
}

fn unread(rejection: &BytesRejection) -> ProblemResponse {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            ProblemResponse::new(
                ProblemCode::PayloadTooLarge,
                format!("the body is larger than {BODY_BYTES} bytes"),
            )
        }
        _ => ProblemResponse::new(ProblemCode::MalformedJson, "the body ended early"),
    }
}

/// `application/json` or any `application/…+json`, with whatever parameters.
fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|essence| {
        essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}

/// The name in use, and the one without the prefix that RFC 6648 has done away with.
fn is_ndjson(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|essence| {
        matches!(
            essence.as_str(),
            "application/x-ndjson" | "application/ndjson"
        )
    })
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_known_by_its_media_type() {
        let is = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            is_json(&headers)
        };
        assert!(is("application/json"));
        assert!(is("Application/JSON; charset=utf-8"));
        assert!(is("application/vnd.shop+json"));
        assert!(!is("text/json"));
        assert!(!is("application/x-www-form-urlencoded"));
        assert!(!is("application/jsonl"));
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn empty_lines_are_none() {
        let body = NdjsonBody(Bytes::from_static(b"{}\r\n\n  \r\n[1]\n\n2"));
        let lines: Vec<&[u8]> = body.lines().collect();
        assert_eq!(lines, [b"{}\r".as_slice(), b"[1]", b"2"]);
    }
}
