//! The HTTP client of every command that speaks to a running Orderly.
//!
//! Owns one call and its patient form: what may be repeated is repeated under the same key, so that no answer lost on the
//! way makes an effect happen twice.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request, header, request},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

mod answer;
mod error;
mod event;
mod feed;
mod flag;
mod path;
mod patience;
pub(crate) mod transport;

pub(crate) use answer::Answer;
pub(crate) use error::{ClientError, Refusal};
use event::EventReader;
pub(crate) use feed::{EventFeed, FeedStart, FromFeed};
pub(crate) use flag::ClientFlags;
pub(crate) use path::{query, segment};
pub(crate) use patience::Backoff;
use transport::Transport;

/// Asks an open route of any role, once and without a key.
pub(crate) async fn probe(base: &Url, path: &str, limit: Duration) -> Result<Answer, ClientError> {
    let transport = Transport::new(base.scheme() == "https").map_err(ClientError::Authorities)?;
    let request = Request::get(uri(base, path))
        .header(header::USER_AGENT, USER_AGENT)
        .body(Body::empty())
        .map_err(|_| ClientError::Argument(path.to_owned()))?;
    let response = transport.send(request, limit).await;
    Answer::read(
        response.map_err(|error| unreachable(base, error))?,
        base,
        limit,
    )
    .await
}

/// The longest `Prefer: wait` (30 s) and time for a slow answer after it.
const CALL_TIMEOUT: Duration = Duration::from_secs(40);
const USER_AGENT: &str = concat!("orderly/", env!("CARGO_PKG_VERSION"));

/// Speaks to one Orderly with one key.
#[derive(Clone)]
pub(crate) struct Client {
    transport: Transport,
    urls: Urls,
    key: String,
}

/// Where it listens. One process (`orderly dev`) serves both.
#[derive(Clone)]
pub(crate) struct Urls {
    /// Takes commands and tells their outcome.
    pub(crate) ingress: Url,
    /// Everything else.
    pub(crate) dashboard: Url,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    idempotency_key: Option<&'a str>,
    wait_seconds: Option<u32>,
    expected_version: Option<u64>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: &'a str, body: &'a Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new(Method::POST, path)
        }
    }

    pub(crate) fn put(path: &'a str, body: &'a Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new(Method::PUT, path)
        }
    }

    fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            body: None,
            idempotency_key: None,
            wait_seconds: None,
            expected_version: None,
        }
    }

    /// Makes a repetition safe.
    pub(crate) fn key(mut self, key: &'a str) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Asks for the outcome in the answer.
    pub(crate) fn wait(mut self, seconds: u32) -> Self {
        self.wait_seconds = Some(seconds);
        self
    }

    /// Only if the order is at this version.
    pub(crate) fn if_version(mut self, version: Option<u64>) -> Self {
        self.expected_version = version;
        self
    }

    fn repeatable(&self) -> bool {
        self.method != Method::POST || self.idempotency_key.is_some()
    }

    /// Commands go to the ingress, and so does the question what became of one; every other route, also those that steer an
    /// order, is the dashboard's.
    fn is_for_ingress(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or(self.path);
        let writes = self.method != Method::GET;
        let steers = path.ends_with("/pause") || path.ends_with("/resume");
        path.starts_with("/v1/commands") || (writes && path.starts_with("/v1/orders") && !steers)
    }
}

impl Client {
    pub(crate) fn new(urls: Urls, key: String) -> Result<Self, ClientError> {
        let tls = [&urls.ingress, &urls.dashboard].map(|url| url.scheme() == "https");
        let transport = Transport::new(tls.contains(&true)).map_err(ClientError::Authorities)?;
        Ok(Self {
            transport,
            urls,
            key,
        })
    }

    /// Asks once.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Answer, ClientError> {
        let base = if call.is_for_ingress() {
            &self.urls.ingress
        } else {
            &self.urls.dashboard
        };
        let mut request = self
            .request(call.method.clone(), base, call.path)
            .header(header::ACCEPT, "application/json");
        if let Some(key) = call.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(seconds) = call.wait_seconds {
            request = request.header("Prefer", format!("wait={seconds}"));
        }
        if let Some(version) = call.expected_version {
            request = request.header(header::IF_MATCH, format!("\"v{version}\""));
        }
        let body = match call.body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        // What cannot stand in a request line or a header came from an argument.
        let request = request
            .body(body)
            .map_err(|_| ClientError::Argument(call.path.to_owned()))?;
        let response = self.transport.send(request, CALL_TIMEOUT).await;
        let response = response.map_err(|error| unreachable(base, error))?;
        Answer::read(response, base, CALL_TIMEOUT).await
    }

    /// Asks again while the server is away or asks for patience, for as long as `patience`, if asking twice is safe.
    pub(crate) async fn send_patiently(
        &self,
        call: &Call<'_>,
        patience: Duration,
        token: &CancellationToken,
    ) -> Result<Answer, ClientError> {
        let mut backoff = Backoff::new(patience);
        loop {
            let result = self.send(call).await;
            let (again, asked) = match &result {
                Ok(answer) => (answer.asks_for_patience(), answer.retry_after),
                Err(error) => (error.is_passing(), None),
            };
            let pause = (again && call.repeatable())
                .then(|| backoff.next(asked))
                .flatten();
            let Some(pause) = pause else { return result };
            if token
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return result;
            }
        }
    }

    /// Asks once and refuses everything but success.
    pub(crate) async fn fetch(&self, call: &Call<'_>) -> Result<Value, ClientError> {
        Ok(self.send(call).await?.success()?.body)
    }

    /// Sends lines of JSON to the ingress, once; an answer to each comes back.
    pub(crate) async fn send_lines(
        &self,
        path: &str,
        lines: String,
    ) -> Result<Vec<Value>, ClientError> {
        const LINES: &str = "application/x-ndjson";
        let base = &self.urls.ingress;
        let request = self
            .request(Method::POST, base, path)
            .header(header::ACCEPT, LINES)
            .header(header::CONTENT_TYPE, LINES)
            .body(Body::from(lines))
            .map_err(|_| ClientError::Argument(path.to_owned()))?;
        let response = self.transport.send(request, CALL_TIMEOUT).await;
        let response = response.map_err(|error| unreachable(base, error))?;
        Answer::read_lines(response, base, CALL_TIMEOUT).await
    }

    /// Opens the stream of status events: `query` says which and from where, `last_event_id` wins over it.
    async fn events(
        &self,
        query: &str,
        last_event_id: Option<&str>,
    ) -> Result<EventReader, ClientError> {
        let base = &self.urls.dashboard;
        let path = format!("/v1/events{query}");
        let mut request = self
            .request(Method::GET, base, &path)
            .header(header::ACCEPT, "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let request = request
            .body(Body::empty())
            .map_err(|_| ClientError::Argument(path.clone()))?;
        let response = self.transport.send(request, CALL_TIMEOUT).await;
        let response = response.map_err(|error| unreachable(base, error))?;
        if response.status().is_success() {
            return Ok(EventReader::new(response.into_body(), base.clone()));
        }
        Answer::read(response, base, CALL_TIMEOUT)
            .await?
            .success()
            .and(Err(ClientError::Unreadable))
    }

    /// A request with what every request has.
    fn request(&self, method: Method, base: &Url, path: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(uri(base, path))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::USER_AGENT, USER_AGENT)
    }
}

/// `path` stands behind the path of `base`, which a proxy may have given it.
fn uri(base: &Url, path: &str) -> String {
    format!("{}{path}", base.as_str().trim_end_matches('/'))
}

fn unreachable(base: &Url, error: transport::TransportError) -> ClientError {
    ClientError::Unreachable {
        url: base.to_string(),
        source: error,
    }
}
