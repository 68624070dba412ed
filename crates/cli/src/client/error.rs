//! Why a call gave no result, and what a person needs to know of it.

use std::{fmt, io};

use serde_json::Value;

use super::transport::TransportError;
use crate::exit::Exit;

/// A call that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot reach {url}")]
    Unreachable {
        /// The server, as it was named.
        url: String,
        source: TransportError,
    },
    #[error("read the certificate authorities of this system")]
    Authorities(#[source] io::Error),
    #[error("{0}")]
    Refused(Refusal),
    #[error("the server is at {location} now; name that one")]
    Moved { location: String },
    #[error("the answer is not Orderly's")]
    Unreadable,
    #[error("the server ended the stream")]
    Ended,
    #[error("{0:?} cannot stand in a request")]
    Argument(String),
}

/// A problem as the server told it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    detail: String,
    errors: Vec<String>,
}

impl ClientError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { source, .. } if !source.is_passing() => Exit::Failed,
            Self::Unreachable { .. } | Self::Ended => Exit::Unavailable,
            Self::Authorities(_) | Self::Moved { .. } | Self::Unreadable => Exit::Failed,
            Self::Argument(_) => Exit::Usage,
            Self::Refused(refusal) => refusal.exit(),
        }
    }

    /// Whether the same call may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_passing(),
            Self::Refused(refusal) => refusal.exit() == Exit::Unavailable,
            Self::Ended => true,
            _ => false,
        }
    }
}

impl Refusal {
    pub(crate) fn exit(&self) -> Exit {
        match (self.status, self.code.as_str()) {
            // What was typed cannot be meant, whatever the state of things.
            (400, _) | (422, "invalid_command" | "invalid_stock_write") => Exit::Usage,
            (401 | 403, _) => Exit::Authentication,
            (404 | 410, _) => Exit::NotFound,
            (409 | 412 | 422, _) => Exit::Conflict,
            (429 | 502 | 503 | 504, _) => Exit::Unavailable,
            _ => Exit::Failed,
        }
    }
}

impl Refusal {
    pub(crate) fn of(status: u16, body: &Value) -> Self {
        let text = |value: &Value, name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let rejection = body
            .get("rejection")
            .filter(|value| value.is_object())
            .unwrap_or(body);
        let errors = rejection
            .get("errors")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let detail = text(rejection, "detail");
        // A rejection of the whole command has one fault, which says the same again.
        let errors = errors
            .iter()
            .filter(|error| text(error, "detail") != detail)
            .map(|error| format!("{}: {}", text(error, "pointer"), text(error, "detail")));
        Self {
            status,
            code: text(rejection, "code"),
            detail: detail.clone(),
            errors: errors.collect(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.detail.as_str()) {
            ("", _) => write!(f, "the server answered {}", self.status)?,
            (code, "") => write!(f, "{code} ({})", self.status)?,
            (code, detail) => write!(f, "{code}: {detail}")?,
        }
        self.errors
            .iter()
            .try_for_each(|error| write!(f, "\n  {error}"))
    }
}
