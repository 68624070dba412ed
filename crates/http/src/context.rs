//! What identifies a request: its id, the trace it belongs to, and the span that carries both.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

use crate::problem;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Characters of a client's own request id: a UUID has 36, a trace id 32; what is longer only bloats logs.
const REQUEST_ID_CHARS: usize = 128;

/// The id of one request, as its answer and the log name it: the client's `X-Request-Id` if it is sane, else minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(headers: &HeaderMap) -> Self {
        let sane = |text: &&str| {
            // Letters that need no escaping in JSON, a URL or a shell: the id is copied into all of them.
            let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.:".contains(&c);
            (1..=REQUEST_ID_CHARS).contains(&text.len()) && text.bytes().all(plain)
        };
        match headers
            .get(X_REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(sane)
        {
            Some(given) => Self(given.into()),
            None => Self(Uuid::now_v7().to_string().into()),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A valid `traceparent` header (W3C Trace Context, section 3.2), in the form of version 00.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traceparent(Arc<str>);

impl Traceparent {
    /// The header as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trace id, 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// Reads a header of any version; of a later one, the part that version 00 knows, as the standard wants.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |part: &str| part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let given = |part: &str| part.bytes().any(|c| c != b'0');
        let parts: Vec<&str> = text.split('-').collect();
        let &[version, trace, parent, flags, ref later @ ..] = parts.as_slice() else {
            return None;
        };
        let known = version != "ff" && (later.is_empty() || version != "00");
        let shaped = [(version, 2), (trace, 32), (parent, 16), (flags, 2)]
            .into_iter()
            .all(|(part, len)| part.len() == len && hex(part));
        let valid = known && shaped && given(trace) && given(parent);
        valid.then(|| Self(format!("00-{trace}-{parent}-{flags}").into()))
    }
}

/// Identity of a request, as an extractor. Put there for every request by [`crate::serve()`].
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The id that answer and log name.
    pub request_id: RequestId,
    /// The trace that the client belongs to.
    pub traceparent: Option<Traceparent>,
}

impl RequestContext {
    fn of(headers: &HeaderMap) -> Self {
        let traceparent = headers
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok());
        Self {
            request_id: RequestId::of(headers),
            traceparent: traceparent.and_then(Traceparent::parse),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts
            .extensions
            .get()
            .cloned()
            .unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// Gives a request its identity and span, and its answer the request id.
pub(crate) async fn attach(mut request: Request, next: Next) -> Response {
    let context = RequestContext::of(request.headers());
    let span = tracing::info_span!(
        "http.request",
        request.id = context.request_id.as_str(),
        trace.id = context.traceparent.as_ref().map(Traceparent::trace_id),
        http.method = %request.method(),
        http.path = request.uri().path(),
    );
    let request_id = context.request_id.clone();
    request.extensions_mut().insert(context);

    let answer = async move {
        let started = Instant::now();
        let mut response = next.run(request).await;
        problem::render(&mut response, &request_id);
        let id = HeaderValue::from_str(request_id.as_str()).expect("a request id is plain ASCII");
        response.headers_mut().insert(X_REQUEST_ID, id);
        tracing::debug!(
            status = response.status().as_u16(),
            elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        response
    };
    answer.instrument(span).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(header: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(header).unwrap());
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_sane_request_id_is_kept() {
        assert_eq!(id_for(b"shop-7.checkout:42_a"), "shop-7.checkout:42_a");
        let longest = "a".repeat(REQUEST_ID_CHARS);
        assert_eq!(id_for(longest.as_bytes()), longest);
    }

    #[test]
    fn any_other_request_id_is_replaced() {
        let long = "a".repeat(REQUEST_ID_CHARS + 1);
        for odd in ["", "a b", "a\"b", "a\tb", "é", long.as_str()] {
            let minted = id_for(odd.as_bytes());
            assert!(
                Uuid::try_parse(&minted).is_ok(),
                "{odd:?} became {minted:?}"
            );
        }
    }

    #[test]
    fn the_standards_traceparent_is_handed_on() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed = Traceparent::parse(text).unwrap();
        assert_eq!(parsed.as_str(), text);
        assert_eq!(parsed.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(Traceparent::parse(later).unwrap().as_str(), known);
    }

    #[test]
    fn a_malformed_traceparent_is_none() {
        for odd in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        ] {
            assert_eq!(Traceparent::parse(odd), None, "{odd:?}");
        }
    }
}
