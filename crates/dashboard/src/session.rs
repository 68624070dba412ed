//! Logging in at the page: an API key is exchanged for a cookie, which crate http then takes where it takes keys.

pub(crate) mod end;
pub(crate) mod open;
pub(crate) mod show;

use axum::http::HeaderMap;

const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// When the cookie of a session is `Secure`. The listener itself speaks no TLS: a proxy in front of it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieSecurity {
    /// When the proxy says, by `X-Forwarded-Proto`, that the browser came over https. Without a proxy a browser could not
    /// send a secure cookie back.
    #[default]
    AsForwarded,
    /// Always: for a proxy that does not say so.
    Always,
}

impl CookieSecurity {
    fn secure(self, headers: &HeaderMap) -> bool {
        // A client that lies here changes only its own cookie. Of several proxies the first is the browser's.
        let forwarded = || {
            let value = headers.get(X_FORWARDED_PROTO)?.to_str().ok()?;
            value.split(',').next().map(str::trim)
        };
        self == Self::Always || forwarded().is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
    }
}
