//! Sessions of people at a browser: what the cookie holds instead of a key. It names the API key that opened it, never its
//! secret, so any process that has the keys of sessions can check it without a table, and a revoked key ends it.

use serde::{Deserialize, Serialize};

use crate::timestamp::{self, Timestamp};
use crate::token::{self, TokenError};

/// Sets a session apart from every other token that may be signed with the same key.
const CONTEXT: &str = "orderly session v1\n";

/// Proof that somebody had an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The key's public part.
    pub key_id: String,
    /// From when on it proves nothing.
    #[serde(with = "timestamp")]
    pub expires_at: Timestamp,
}

/// A token that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Not `base64url.base64url`, or no session inside.
    #[error("not a session")]
    Malformed,
    /// None of the keys signed it as a session.
    #[error("the session's signature does not hold")]
    Forged,
    /// Its time is over.
    #[error("the session has expired")]
    Expired,
}

impl From<TokenError> for SessionError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Malformed => Self::Malformed,
            TokenError::Forged => Self::Forged,
        }
    }
}

/// The token of `session`, signed with `key`.
#[must_use]
pub fn sign(session: &Session, key: &[u8]) -> String {
    token::sign(CONTEXT, session, key)
}

/// The session in `token`, if one of `keys` signed it and it has not expired at `now`.
///
/// # Errors
/// If it is no session, none of the keys signed it, or its time is over.
pub fn verify(token: &str, keys: &[&[u8]], now: Timestamp) -> Result<Session, SessionError> {
    let session: Session = token::verify(CONTEXT, token, keys)?;
    if session.expires_at <= now {
        return Err(SessionError::Expired);
    }
    Ok(session)
}
