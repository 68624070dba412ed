//! HTTP/1.1 over TCP or TLS: one request out, one answer back, every wait bounded. Knows no route, key or JSON.
//!
//! A redirect is an answer like any other: a key is sent to the server that was named, and to no other.

use std::{error::Error, fmt, io, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// A listener on this side of the world answers a SYN in milliseconds; five seconds also span a slow start of TCP.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Servers and proxies close what is idle for a minute or more; a connection this young is rarely gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends requests, over connections that it keeps. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transport {
    client: legacy::Client<HttpsConnector<HttpConnector>, Body>,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// No connection, or it broke off.
    #[error("{}", .0)]
    Lost(RootCause),
    /// The server is not who it should be.
    #[error("its certificate is refused: {0}; SSL_CERT_FILE can name the authorities to trust")]
    Untrusted(RootCause),
    /// What answers there is no TLS.
    #[error("it does not speak https: {0}")]
    NotTls(RootCause),
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// The last of a chain of causes, which says what happened; those before it only say where.
#[derive(Debug)]
pub(crate) struct RootCause(Box<dyn Error + Send + Sync>);

impl Transport {
    /// `tls`: whether a server is spoken to by https. Only then are the authorities of the system read, so that plain http
    /// also works where there are none, as in a small container.
    pub(crate) fn new(tls: bool) -> io::Result<Self> {
        let config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let config = if tls {
            config.with_native_roots()?
        } else {
            config.with_root_certificates(RootCertStore::empty())
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Ok(Self { client })
    }

    /// The answer's head, within `limit`; its body is read by the caller.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
        limit: Duration,
    ) -> Result<Response<Body>, TransportError> {
        let answer = within(limit, self.client.request(request)).await?;
        Ok(answer.map(Body::new))
    }
}

/// Bounds one wait.
pub(crate) async fn within<T, E>(
    limit: Duration,
    wait: impl Future<Output = Result<T, E>>,
) -> Result<T, TransportError>
where
    TransportError: From<E>,
{
    match tokio::time::timeout(limit, wait).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(TransportError::TimedOut(limit)),
    }
}

impl TransportError {
    /// Whether it may be otherwise a little later.
    pub(crate) fn is_passing(&self) -> bool {
        !matches!(self, Self::Untrusted(_) | Self::NotTls(_))
    }
}

impl From<legacy::Error> for TransportError {
    fn from(error: legacy::Error) -> Self {
        let tls = chain(&error).find_map(|error| error.downcast_ref::<rustls::Error>().cloned());
        let cause = RootCause(error.into());
        match tls {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                Self::Untrusted(cause)
            }
            Some(rustls::Error::InvalidMessage(_)) => Self::NotTls(cause),
            _ => Self::Lost(cause),
        }
    }
}

impl From<axum::Error> for TransportError {
    fn from(error: axum::Error) -> Self {
        Self::Lost(RootCause(error.into()))
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An I/O error around another error is not its source: it stands in its place.
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        inner
            .map(|inner| inner as &(dyn Error + 'static))
            .or_else(|| error.source())
    })
}

impl fmt::Display for RootCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chain(self.0.as_ref()).last() {
            Some(cause) => write!(f, "{cause}"),
            None => write!(f, "{}", self.0),
        }
    }
}
