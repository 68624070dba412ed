//! The request headers that steer a command, read as their standards say.

mod idempotency_key;
mod if_match;
mod prefer;

use axum::http::{HeaderMap, HeaderName};
use orderly_domain::Version;
use orderly_http::ProblemResponse;
use orderly_protocol::ProblemCode;

pub(crate) use idempotency_key::IdempotencyKey;
pub(crate) use prefer::Wait;

/// What the headers of one request ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Steering {
    /// The name under which the producer may send the same request again.
    pub(crate) key: Option<IdempotencyKey>,
    /// The version that the order must have.
    pub(crate) expected_version: Option<Version>,
    /// How long the client wants to wait for the outcome.
    pub(crate) wait: Option<Wait>,
}

/// A header that is not of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderFault {
    #[error(
        "Idempotency-Key must be 1 to 255 visible ASCII characters, bare or as one quoted string, and given once"
    )]
    IdempotencyKey,
    #[error("If-Match must be one strong entity tag of an order, as \"v7\"")]
    IfMatch,
    #[error("If-Match does not belong to a request that places an order")]
    IfMatchOnPlace,
}

impl Steering {
    /// Reads the headers. A malformed `Prefer` is none (RFC 7240, section 2): a preference can be passed over.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, HeaderFault> {
        Ok(Self {
            key: idempotency_key::read(headers)?,
            expected_version: if_match::read(headers)?,
            wait: prefer::read(headers),
        })
    }

    /// For `place`: an order that does not exist yet has no version to match.
    pub(crate) fn without_if_match(self) -> Result<Self, HeaderFault> {
        if self.expected_version.is_some() {
            Err(HeaderFault::IfMatchOnPlace)
        } else {
            Ok(self)
        }
    }
}

impl From<HeaderFault> for ProblemResponse {
    fn from(fault: HeaderFault) -> Self {
        Self::new(ProblemCode::InvalidHeader, fault.to_string())
    }
}

/// The text of a header that may stand once. `Err` if it stands twice or is not visible ASCII.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim())),
        _ => Err(()),
    }
}
