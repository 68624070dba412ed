//! The request headers that steer a command, read as their standards say.

mod if_match;
mod prefer;

use axum::http::HeaderMap;
use orderly_domain::Version;
use orderly_http::{IdempotencyKey, ProblemResponse};
use orderly_protocol::ProblemCode;

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

impl Steering {
    /// Reads the headers. A malformed `Prefer` is none (RFC 7240, section 2): a preference can be passed over.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, ProblemResponse> {
        Ok(Self {
            key: IdempotencyKey::from_headers(headers)?,
            expected_version: if_match::read(headers)?,
            wait: prefer::read(headers),
        })
    }

    /// For `place`: an order that does not exist yet has no version to match.
    pub(crate) fn without_if_match(self) -> Result<Self, ProblemResponse> {
        match self.expected_version {
            None => Ok(self),
            Some(_) => Err(invalid(
                "If-Match does not belong to a request that places an order",
            )),
        }
    }
}

/// For a batch, where every line has its own: a header would speak for all of them at once.
pub(crate) fn refuse_steering(headers: &HeaderMap) -> Result<(), ProblemResponse> {
    match Steering::read(headers)? {
        Steering {
            key: None,
            expected_version: None,
            ..
        } => Ok(()),
        _ => Err(invalid(
            "Idempotency-Key and If-Match do not belong to a batch; each line has idempotency_key and expected_version",
        )),
    }
}

fn invalid(detail: &'static str) -> ProblemResponse {
    ProblemResponse::new(ProblemCode::InvalidHeader, detail)
}
