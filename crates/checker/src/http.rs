//! A client of Orderly's HTTP API, written from its description alone. Owns one call and its patience: everything sent here may
//! be sent again, by its method or by its key.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode, Url, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A listener on this side of the world answers a SYN in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait that is asked for, and time for a slow answer after it.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// For an outcome in the answer; what takes longer is asked for again.
const WAIT_SECONDS: u32 = 10;
/// A server that is away for longer will not come back while somebody watches.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts: no load, no delay that a person would notice.
const PAUSE: Duration = Duration::from_millis(100);
/// A server may ask for more than a person wants to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One Orderly and one key to it.
pub(crate) struct Api {
    http: reqwest::Client,
    ingress: Url,
    dashboard: Url,
    key: String,
    token: CancellationToken,
}

/// Which of the two listeners; one process may serve both.
#[derive(Clone, Copy)]
enum Listener {
    Ingress,
    Dashboard,
}

struct Call<'a> {
    method: Method,
    to: Listener,
    path: &'a str,
    body: Option<&'a Value>,
    key: Option<&'a str>,
}

/// What came back, whatever its status.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// Where to ask on, if the outcome is not known.
    pub(crate) location: Option<String>,
    body: Vec<u8>,
}

/// Orderly said no to something that must be possible.
#[derive(Debug)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    code: String,
    what: String,
}

impl Refused {
    pub(crate) fn new(status: u16, code: &str, what: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            what: what.to_owned(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Orderly refused {}: {}", self.what, self.code)
    }
}

impl Error for Refused {}

impl Api {
    /// A client that gives up when `token` is cancelled.
    pub(crate) fn new(
        ingress: &str,
        dashboard: &str,
        key: &str,
        token: &CancellationToken,
    ) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .user_agent(concat!("orderly-checker/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("make an HTTP client")?;
        Ok(Self {
            http,
            ingress: ingress.parse().context("the ingress's URL")?,
            dashboard: dashboard.parse().context("the dashboard's URL")?,
            key: key.to_owned(),
            token: token.clone(),
        })
    }

    /// Sends a command under `key` and waits for its outcome.
    pub(crate) async fn command(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Reply> {
        let call = Call {
            method,
            to: Listener::Ingress,
            path,
            body: Some(body),
            key: Some(key),
        };
        self.patiently(&call).await
    }

    /// Asks again what became of a command.
    pub(crate) async fn outcome(&self, location: &str) -> Result<Reply> {
        self.patiently(&Call::get(Listener::Ingress, location))
            .await
    }

    /// Writes stock; the same level again is the same level.
    pub(crate) async fn put_stock(&self, path: &str, body: &Value) -> Result<()> {
        let call = Call {
            method: Method::PUT,
            to: Listener::Dashboard,
            path,
            body: Some(body),
            key: None,
        };
        self.patiently(&call).await?.success(path)?;
        Ok(())
    }

    /// Asks for something that is the same when it is asked for again.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        let call = Call {
            method: Method::POST,
            to: Listener::Dashboard,
            path,
            body: Some(body),
            key: None,
        };
        self.patiently(&call).await
    }

    /// Reads what must be there.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let reply = self
            .patiently(&Call::get(Listener::Dashboard, path))
            .await?;
        reply.success(path)?.json(path)
    }

    /// Reads what may not be there.
    pub(crate) async fn read_if_there<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let reply = self
            .patiently(&Call::get(Listener::Dashboard, path))
            .await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        reply.success(path)?.json(path).map(Some)
    }

    /// Sends until somebody answers.
    async fn patiently(&self, call: &Call<'_>) -> Result<Reply> {
        let gives_up_at = Instant::now() + PATIENCE;
        loop {
            let sent = self.token.run_until_cancelled(self.send(call)).await;
            let result = sent.context("stopped before the end")?;
            let (again, asked) = match &result {
                Ok((reply, asked)) => (reply.asks_for_patience(), *asked),
                Err(_) => (true, None),
            };
            let pause = asked.unwrap_or(PAUSE).clamp(PAUSE, LONGEST_PAUSE);
            if !again || Instant::now() + pause > gives_up_at {
                return Ok(result?.0);
            }
            self.token
                .run_until_cancelled(tokio::time::sleep(pause))
                .await;
        }
    }

    async fn send(&self, call: &Call<'_>) -> Result<(Reply, Option<Duration>)> {
        let base = match call.to {
            Listener::Ingress => &self.ingress,
            Listener::Dashboard => &self.dashboard,
        };
        let url = base
            .join(call.path)
            .with_context(|| format!("{} is not a path", call.path))?;
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .bearer_auth(&self.key)
            .header(header::ACCEPT, "application/json");
        if let Some(key) = call.key {
            request = request
                .header("Idempotency-Key", key)
                .header("Prefer", format!("wait={WAIT_SECONDS}"));
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let response = request.send().await.context("cannot reach Orderly")?;
        let text = |name: header::HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let location = text(header::LOCATION);
        let asked = text(header::RETRY_AFTER)
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        let status = response.status();
        let body = response
            .bytes()
            .await
            .context("cannot read Orderly's answer")?;
        let reply = Reply {
            status,
            location,
            body: body.to_vec(),
        };
        Ok((reply, asked))
    }
}

impl<'a> Call<'a> {
    fn get(to: Listener, path: &'a str) -> Self {
        Self {
            method: Method::GET,
            to,
            path,
            body: None,
            key: None,
        }
    }
}

impl Reply {
    /// The body, as what it should be.
    pub(crate) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("the answer to {what} is not Orderly's"))
    }

    /// The code of a problem; the status where there is none.
    pub(crate) fn problem_code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match body["code"].as_str() {
            Some(code) => code.to_owned(),
            None => format!("status {}", self.status.as_u16()),
        }
    }

    fn success(self, what: &str) -> Result<Self, Refused> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(Refused {
            status: self.status.as_u16(),
            code: self.problem_code(),
            what: what.to_owned(),
        })
    }

    /// 429, and what a server says that cannot answer now.
    fn asks_for_patience(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 502 | 503 | 504)
    }
}
