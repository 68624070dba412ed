//! Sessions of people at a browser: opened with an API key, carried by a cookie, good for what the key may do, and over with
//! the key or its time. Owns the rules under which a cookie counts; the cookie's text is [`cookie`]'s.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::header::{HOST, ORIGIN};
use orderly_protocol::session::{self, Session};
use orderly_protocol::time::OffsetDateTime;
use orderly_protocol::{ProblemCode, Timestamp};

use crate::authorized::unauthorized;
use crate::keyring::cannot_check;
use crate::{Caller, Keyring, ProblemResponse};

pub mod cookie;

/// A working day and some: nobody logs in twice a day, and a browser left open over night is logged out in the morning.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(12);

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// A session that was just opened.
#[derive(Clone)]
pub struct OpenedSession {
    /// What the cookie holds.
    pub token: String,
    /// When it is over.
    pub expires_at: Timestamp,
}

impl Keyring {
    /// Opens a session for the owner of a key.
    ///
    /// # Errors
    /// 503 before the keys of sessions are known.
    pub fn open_session(&self, caller: &Caller) -> Result<OpenedSession, ProblemResponse> {
        let keys = self.session_keys();
        let newest = keys.first().ok_or_else(cannot_check)?;
        // Clocks of hosts differ by less than matters in hours.
        let expires_at = OffsetDateTime::now_utc() + SESSION_LIFETIME;
        let session = Session {
            key_id: caller.key_id.as_ref().to_owned(),
            expires_at,
        };
        Ok(OpenedSession {
            token: session::sign(&session, newest),
            expires_at,
        })
    }

    /// The owner of the session that the cookie of a request holds, and when it is over; none without a cookie.
    ///
    /// # Errors
    /// 401 if the cookie proves nothing, or not any more; 503 if that cannot be known.
    pub async fn session(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<(Caller, Timestamp)>, ProblemResponse> {
        const REFUSED: &str = "this session has ended; log in again";
        let Some(token) = cookie::token(headers) else {
            return Ok(None);
        };
        let keys = self.session_keys();
        if keys.is_empty() {
            return Err(cannot_check());
        }
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 32]>::as_slice).collect();
        let session = session::verify(token, &keys, OffsetDateTime::now_utc())
            .map_err(|_| unauthorized(REFUSED))?;
        let caller = self.owner(&session.key_id).await?;
        let caller = caller.ok_or_else(|| unauthorized(REFUSED))?;
        Ok(Some((caller, session.expires_at)))
    }
}

/// Refuses a request that changes something unless a page of this origin sent it: a browser adds the cookie whoever made it
/// ask.
pub(crate) fn require_same_origin(
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), ProblemResponse> {
    if method.is_safe() || sender(headers) == Sender::SameOrigin {
        return Ok(());
    }
    Err(cross_site())
}

/// Refuses a request that a browser sent for a page of another origin.
///
/// # Errors
/// 403.
pub fn refuse_cross_origin(headers: &HeaderMap) -> Result<(), ProblemResponse> {
    match sender(headers) {
        Sender::OtherOrigin => Err(cross_site()),
        Sender::SameOrigin | Sender::Unknown => Ok(()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    SameOrigin,
    OtherOrigin,
    /// No browser, or one that does not say.
    Unknown,
}

/// Who sent a request. Browsers say so in `Sec-Fetch-Site` (W3C Fetch Metadata) where the page came over https or from
/// loopback, and otherwise in `Origin`; no script can set either.
fn sender(headers: &HeaderMap) -> Sender {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let same = match (text(SEC_FETCH_SITE), text(ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            // The scheme is a TLS proxy's affair: host and port are what it hands on.
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == text(HOST.as_str())
        }
        (None, None) => return Sender::Unknown,
    };
    if same {
        Sender::SameOrigin
    } else {
        Sender::OtherOrigin
    }
}

fn cross_site() -> ProblemResponse {
    let detail = "a session counts only for what a page of this origin sends; use an API key";
    ProblemResponse::new(ProblemCode::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Sender {
        let mut headers = HeaderMap::new();
        headers.insert("host", "orders.example:8443".parse().unwrap());
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        sender(&headers)
    }

    #[test]
    fn what_the_browser_says_of_the_site_decides() {
        let own = ("origin", "https://orders.example:8443");
        assert_eq!(of(&[("sec-fetch-site", "same-origin")]), Sender::SameOrigin);
        for site in ["same-site", "cross-site", "none", "", "SAME-ORIGIN"] {
            assert_eq!(of(&[("sec-fetch-site", site), own]), Sender::OtherOrigin);
        }
    }

    #[test]
    fn without_that_the_origin_must_be_the_host() {
        assert_eq!(
            of(&[("origin", "https://orders.example:8443")]),
            Sender::SameOrigin
        );
        assert_eq!(
            of(&[("origin", "http://orders.example:8443")]),
            Sender::SameOrigin
        );
        for origin in [
            "null",
            "",
            "orders.example:8443",
            "https://orders.example",
            "https://orders.example:8444",
            "https://evil.example",
            "https://orders.example:8443.evil.example",
        ] {
            assert_eq!(of(&[("origin", origin)]), Sender::OtherOrigin, "{origin}");
        }
        assert_eq!(of(&[]), Sender::Unknown);
    }
}
