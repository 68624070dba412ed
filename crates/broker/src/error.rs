//! What can go wrong between this process and the broker. Owns the one place where lapin's errors are read.

use std::{fmt, time::Duration};

use lapin::ErrorKind;

/// A call to the broker that did not do what it was asked to.
///
/// Cloneable, because one lost connection is the reason of many failures.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// The URL cannot be used.
    #[error("read the broker url")]
    Url(#[from] UrlError),
    /// The broker refused, or the connection failed while it was asked.
    #[error("{action}")]
    Failed {
        /// What was attempted.
        action: &'static str,
        /// What lapin or the broker said.
        source: ClientError,
    },
    /// No answer in time. The connection is thrown away, since the request may still be queued inside lapin.
    #[error("{action}: no answer within {limit:?}")]
    Timeout {
        /// What was attempted.
        action: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The connection had ended before the call; [`crate::Connection::lost_reason`] says why.
    #[error("{action}: the connection is lost")]
    Lost {
        /// What was attempted.
        action: &'static str,
    },
    /// This process closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// The channel had ended before the ack: nothing was acknowledged, and the broker delivers again.
    #[error("acknowledge a delivery: its channel had ended")]
    NotAcknowledged,
    /// The connection is blocked by an alarm of the broker (memory or disk); nothing was sent.
    #[error("{action}: the broker has blocked this connection")]
    Blocked {
        /// What was attempted.
        action: &'static str,
    },
    /// A publish was abandoned before its confirm. It stays queued inside lapin, so the connection was cut.
    #[error("a publish was dropped before its confirm")]
    PublishDropped,
    /// A confirm of a kind that this channel can never get; the connection is thrown away.
    #[error("publish: the broker sent no confirm")]
    NotConfirmed,
    /// A stream delivery without its `x-stream-offset` header: what was read is not a stream.
    #[error("read a stream: a delivery without an offset")]
    NoOffset,
}

impl BrokerError {
    /// Does the object that was asked for not exist (AMQP reply code 404)?
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.reply_code() == Some(404)
    }

    /// Does the object exist with other arguments (AMQP reply code 406)?
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        self.reply_code() == Some(406)
    }

    /// Does another connection hold the object for itself (AMQP reply code 405)?
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.reply_code() == Some(405)
    }

    /// Did the broker refuse the login, or the right to the object (AMQP reply code 403)?
    #[must_use]
    pub fn is_access_refused(&self) -> bool {
        self.reply_code() == Some(403)
    }

    fn reply_code(&self) -> Option<u16> {
        match self {
            Self::Failed { source, .. } => source.reply_code(),
            _ => None,
        }
    }

    /// What the broker or the client said, without what was attempted.
    pub(crate) fn root_cause(&self) -> String {
        match self {
            Self::Failed { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }
}

/// What is wrong with a broker URL. Never quotes it: it holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither `amqp://` nor `amqps://`.
    #[error("the url does not begin with amqp:// or amqps://")]
    Scheme,
    /// Not a URL of the form `amqp://user:password@host:port/vhost`.
    #[error("the url is not of the form amqp://user:password@host:port/vhost")]
    Malformed,
}

/// What lapin or the broker said.
#[derive(Clone)]
pub struct ClientError(lapin::Error);

impl ClientError {
    /// The AMQP reply code, if it was the broker who refused (404 not found, 406 precondition failed, …).
    #[must_use]
    pub fn reply_code(&self) -> Option<u16> {
        match self.0.kind() {
            ErrorKind::ProtocolError(error) => Some(error.get_id()),
            _ => None,
        }
    }
}

impl From<lapin::Error> for ClientError {
    fn from(error: lapin::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for ClientError {}

/// A publish whose confirm did not come: the message may or may not be stored, now or later.
///
/// Publishing it again may store it twice, so only a sender whose receiver deduplicates may do that. The connection is
/// thrown away.
#[derive(Clone, Debug, thiserror::Error)]
#[error("publish: the outcome is unknown")]
pub struct PublishUnknown(#[source] pub BrokerError);
