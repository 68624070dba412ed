//! Why a call gave no result, and what a person needs to know of it.

use std::fmt;

use serde_json::Value;

use crate::exit::Exit;

/// A call that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot reach the server")]
    Unreachable(#[source] reqwest::Error),
    #[error("{0}")]
    Refused(Refusal),
    #[error("the answer is not Orderly's")]
    Unreadable,
    #[error("{0:?} is not a path")]
    Path(String),
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
            Self::Unreachable(_) => Exit::Unavailable,
            Self::Unreadable => Exit::Failed,
            Self::Path(_) => Exit::Usage,
            Self::Refused(refusal) => match refusal.status {
                401 | 403 => Exit::Authentication,
                404 | 410 => Exit::NotFound,
                409 | 412 | 422 => Exit::Conflict,
                429 | 502 | 503 | 504 => Exit::Unavailable,
                _ => Exit::Failed,
            },
        }
    }

    /// Whether the same call may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(error) if !error.is_builder())
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
        let errors = errors
            .iter()
            .map(|error| format!("{}: {}", text(error, "pointer"), text(error, "detail")));
        Self {
            status,
            code: text(rejection, "code"),
            detail: text(rejection, "detail"),
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
