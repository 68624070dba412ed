//! Who calls, and what they may do: the extractor by which a route names the scope it needs.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use orderly_domain::ProducerId;
use orderly_protocol::ProblemCode;
use orderly_protocol::api_key::Scope;

use crate::{Keyring, ProblemResponse, session};

/// The owner of a valid API key.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The scope of idempotency keys.
    pub producer: ProducerId,
    /// The key's public part, for logs and audit.
    pub key_id: Arc<str>,
    /// The key's name, as the person who made it called it.
    pub name: Arc<str>,
    /// What the key may do.
    pub scopes: Arc<[Scope]>,
}

impl Caller {
    /// Whether the key has `scope`.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Refuses with 403, naming the scope, unless the key has it.
    ///
    /// # Errors
    /// The problem `forbidden`.
    pub fn require(&self, scope: Scope) -> Result<(), ProblemResponse> {
        self.require_any(&[scope])
    }

    /// Refuses with 403 unless the key has one of `scopes`.
    ///
    /// # Errors
    /// The problem `forbidden`.
    pub fn require_any(&self, scopes: &[Scope]) -> Result<(), ProblemResponse> {
        if scopes.iter().any(|scope| self.may(*scope)) {
            return Ok(());
        }
        let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        Err(insufficient_scope(&names))
    }
}

/// What a route asks of its caller; see [`scope`] for the ready ones.
pub trait Requirement {
    /// One of these is enough.
    const ANY_OF: &'static [Scope];
}

/// A [`Caller`] that fulfils `R`. Extract it before the body, so that nothing is read for a stranger.
#[derive(Clone, Debug)]
pub struct Authorized<R> {
    /// Who calls.
    pub caller: Caller,
    requirement: PhantomData<R>,
}

impl<R, S> FromRequestParts<S> for Authorized<R>
where
    R: Requirement,
    S: Send + Sync,
    Keyring: FromRef<S>,
{
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let caller = caller(parts, &Keyring::from_ref(state)).await?;
        caller.require_any(R::ANY_OF)?;
        Ok(Self {
            caller,
            requirement: PhantomData,
        })
    }
}

/// Who sent a request: by its API key or, where no key is sent, by the cookie of a session.
async fn caller(parts: &Parts, keyring: &Keyring) -> Result<Caller, ProblemResponse> {
    const NOBODY: &str = "send an API key as Authorization: Bearer …";
    if parts.headers.contains_key(AUTHORIZATION) {
        let token = bearer(&parts.headers).ok_or_else(|| unauthorized(NOBODY))?;
        return keyring.authenticate(token).await;
    }
    let session = keyring.session(&parts.headers).await?;
    let (caller, _) = session.ok_or_else(|| unauthorized(NOBODY))?;
    session::require_same_origin(&parts.method, &parts.headers)?;
    Ok(caller)
}

/// Requirements of one scope each.
pub mod scope {
    use orderly_protocol::api_key::Scope;

    use super::Requirement;

    macro_rules! requirements {
        ($($(#[$doc:meta])* $name:ident)*) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Requirement for $name {
                const ANY_OF: &'static [Scope] = &[Scope::$name];
            }
        )*};
    }

    requirements! {
        /// `commands:write`.
        CommandsWrite
        /// `orders:read`.
        OrdersRead
        /// `events:read`.
        EventsRead
        /// `stock:write`.
        StockWrite
        /// `payments:write`.
        PaymentsWrite
        /// `ops:read`.
        OpsRead
        /// `ops:write`.
        OpsWrite
        /// `keys:admin`.
        KeysAdmin
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750); the scheme is read in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// 401. One sentence for every kind of bad key: which part was wrong is nobody's business.
pub(crate) fn unauthorized(detail: &'static str) -> ProblemResponse {
    ProblemResponse::new(ProblemCode::Unauthenticated, detail).with_header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"orderly\""),
    )
}

fn insufficient_scope(names: &[&str]) -> ProblemResponse {
    let needed = names.join(" or ");
    let challenge = format!(
        "Bearer realm=\"orderly\", error=\"insufficient_scope\", scope=\"{}\"",
        names.join(" ")
    );
    let challenge = HeaderValue::try_from(challenge).expect("scope names are plain ASCII");
    ProblemResponse::new(
        ProblemCode::Forbidden,
        format!("this API key lacks the scope {needed}"),
    )
    .with_header(WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bearer_token_is_found_in_any_case_of_the_scheme() {
        let token = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(
            token("Bearer ord_live_a_b").as_deref(),
            Some("ord_live_a_b")
        );
        assert_eq!(
            token("bearer ord_live_a_b").as_deref(),
            Some("ord_live_a_b")
        );
        assert_eq!(token("Basic b3JkZXJseQ=="), None);
        assert_eq!(token("ord_live_a_b"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
