//! `GET /v1/events`: status events as they happen, as server-sent events.
//!
//! One reader per process fills a ring of recent events; each client is a task that reads the ring from its own place.
//! An event's id is its place in the stream, so `Last-Event-ID` resumes without a gap, on any process.

mod client;
mod filter;
mod frame;
mod hub;
mod position;
mod ring;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode};

use crate::request::{QueryParams, invalid};

use client::Client;
pub use hub::EventHub;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Proxies of the nginx family collect an answer before they hand it on, unless told not to.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) async fn events(
    State(hub): State<EventHub>,
    _: Authorized<scope::EventsRead>,
    query: QueryParams,
    headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let header = headers.get(LAST_EVENT_ID).map(|value| value.to_str());
    let last_event_id = header
        .transpose()
        .map_err(|_| invalid("the last event id is not an id of this stream"))?;
    let (start, filter) = filter::parse(query.pairs(), last_event_id)?;
    let Ok(permit) = Arc::clone(hub.clients()).try_acquire_owned() else {
        return Err(ProblemResponse::from(Problem::new(
            ProblemCode::NotReady,
            "too many event streams are open",
        ))
        .retry_after(5));
    };
    let chunks = Client::start(&hub, start, filter, permit);
    let body = stream::unfold(chunks, async |mut chunks| {
        let chunk = chunks.recv().await?;
        Some((Ok::<_, Infallible>(chunk), chunks))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (ACCEL_BUFFERING, "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}
