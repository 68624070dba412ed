//! The cookie of a session (RFC 6265): `HttpOnly`, so that no script reads it; `SameSite=Strict`, so that no other site's
//! link or form brings it along.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use super::{OpenedSession, SESSION_LIFETIME};

const NAME: &str = "orderly_session";

/// Browsers take a cookie of this prefix only from the host itself and over TLS, so no neighbouring host or plain
/// connection can plant one.
const SECURE_NAME: &str = "__Host-orderly_session";

/// The value of `Set-Cookie` that opens a session. `secure` is for browsers that came over TLS.
#[must_use]
pub fn open(session: &OpenedSession, secure: bool) -> HeaderValue {
    let name = if secure { SECURE_NAME } else { NAME };
    written(name, &session.token, SESSION_LIFETIME.as_secs(), secure)
}

/// The values of `Set-Cookie` that end whatever session there is.
#[must_use]
pub fn end() -> [HeaderValue; 2] {
    [
        written(NAME, "", 0, false),
        written(SECURE_NAME, "", 0, true),
    ]
}

fn written(name: &str, token: &str, max_age_s: u64, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let cookie =
        format!("{name}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(cookie).expect("a token is plain ASCII")
}

/// The token in the cookies of a request. The name that nobody else can plant wins.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let named = |name: &str| {
        let lines = headers.get_all(COOKIE).iter();
        let mut pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(given, value)| *given == name && !value.is_empty())
            .map(|(_, value)| value)
    };
    named(SECURE_NAME).or_else(|| named(NAME))
}

#[cfg(test)]
mod tests {
    use orderly_protocol::time::OffsetDateTime;

    use super::*;

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let session = OpenedSession {
            token: "a.b".to_owned(),
            expires_at: OffsetDateTime::UNIX_EPOCH,
        };
        assert_eq!(
            open(&session, false),
            "orderly_session=a.b; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            open(&session, true),
            "__Host-orderly_session=a.b; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            end()[1],
            "__Host-orderly_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
        );
    }

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            token(&headers).map(str::to_owned)
        };
        assert_eq!(
            of(&["a=1; orderly_session=x.y; b=2"]).as_deref(),
            Some("x.y")
        );
        assert_eq!(of(&["a=1", "orderly_session=x.y"]).as_deref(), Some("x.y"));
        assert_eq!(
            of(&["orderly_session=planted; __Host-orderly_session=x.y"]).as_deref(),
            Some("x.y")
        );
        assert_eq!(of(&["orderly_session=; my_orderly_session=x.y"]), None);
        assert_eq!(of(&[]), None);
    }
}
