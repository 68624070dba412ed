//! The HTTP client of every command that speaks to a running Orderly.
//!
//! Owns one call and its patient form: what may be repeated is repeated under the same key, so that no answer lost on the
//! way makes an effect happen twice.

use std::time::Duration;

use reqwest::{Method, Url, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

mod error;
mod event;
mod flag;
mod patience;

pub(crate) use error::{ClientError, Refusal};
pub(crate) use event::EventReader;
pub(crate) use flag::ClientFlags;
pub(crate) use patience::Backoff;

/// A listener on this side of the world answers a SYN in milliseconds; five seconds also span a slow start of TCP.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest `Prefer: wait` (30 s) and time for a slow answer after it.
const CALL_TIMEOUT: Duration = Duration::from_secs(40);
/// Three missed heartbeat comments of the event stream (15 s each).
const SILENCE_TIMEOUT: Duration = Duration::from_secs(45);

/// Speaks to one Orderly with one key.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
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

    /// Commands go to the ingress, and so does the question what became of one; every other route is the dashboard's.
    fn is_for_ingress(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or(self.path);
        let writes = self.method != Method::GET;
        path.starts_with("/v1/commands") || (writes && path.starts_with("/v1/orders"))
    }
}

impl Client {
    pub(crate) fn new(urls: Urls, key: String) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            .user_agent(concat!("orderly/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::Unreachable)?;
        Ok(Self { http, urls, key })
    }

    /// Asks once.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Answer, ClientError> {
        let base = if call.is_for_ingress() {
            &self.urls.ingress
        } else {
            &self.urls.dashboard
        };
        let url = base
            .join(call.path)
            .map_err(|_| ClientError::Path(call.path.to_owned()))?;
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .timeout(CALL_TIMEOUT)
            .bearer_auth(&self.key)
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
        if let Some(body) = call.body {
            request = request.json(body);
        }
        Answer::read(request.send().await.map_err(ClientError::Unreachable)?).await
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

    /// Opens the live stream of status events, from now on.
    pub(crate) async fn events(&self) -> Result<EventReader, ClientError> {
        let url = self
            .urls
            .dashboard
            .join("/v1/events")
            .expect("a constant path fits every base");
        let request = self
            .http
            .get(url)
            .bearer_auth(&self.key)
            .header(header::ACCEPT, "text/event-stream");
        let response = request.send().await.map_err(ClientError::Unreachable)?;
        if response.status().is_success() {
            return Ok(EventReader::new(response));
        }
        Answer::read(response)
            .await?
            .success()
            .and(Err(ClientError::Unreadable))
    }
}

impl Answer {
    async fn read(response: reqwest::Response) -> Result<Self, ClientError> {
        let status = response.status().as_u16();
        let text = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let replayed = text("Idempotent-Replayed").is_some_and(|value| value == "true");
        let location = text("Location");
        let retry_after = text("Retry-After")
            .and_then(|value| value.parse().ok())
            .map(Duration::from_secs);
        let bytes = response.bytes().await.map_err(ClientError::Unreachable)?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            json(&bytes, status)?
        };
        Ok(Self {
            status,
            replayed,
            location,
            retry_after,
            body,
        })
    }

    /// 429 and the statuses of a server, or of a proxy before it, that cannot answer now.
    fn asks_for_patience(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }

    /// The answer, if its status says success.
    pub(crate) fn success(self) -> Result<Self, ClientError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(ClientError::Refused(Refusal::of(self.status, &self.body)))
    }

    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer).and_then(Value::as_str)
    }
}

/// An error page of something in between is not JSON; its status is still worth telling.
fn json(bytes: &[u8], status: u16) -> Result<Value, ClientError> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(_) if status >= 400 => Ok(Value::Null),
        Err(_) => Err(ClientError::Unreadable),
    }
}
