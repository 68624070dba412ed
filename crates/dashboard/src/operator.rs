//! Who acts on the system: an authorized caller as the audit knows him, and what he says why.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use orderly_http::{Authorized, Caller, Keyring, ProblemResponse, RequestContext, Requirement};
use orderly_store::{Actor, ActorKey};

/// Characters of a reason: a sentence or two for the person who reads the audit.
const REASON_CHARS: usize = 500;

/// An [`Authorized`] caller and the [`Actor`] that he is in the audit. Extract it before the body.
pub(crate) struct Operator<R> {
    authorized: Authorized<R>,
    pub(crate) actor: Actor,
}

impl<R> Operator<R> {
    pub(crate) fn caller(&self) -> &Caller {
        &self.authorized.caller
    }
}

impl<R, S> FromRequestParts<S> for Operator<R>
where
    R: Requirement + Send,
    S: Send + Sync,
    Keyring: FromRef<S>,
{
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let authorized = Authorized::from_request_parts(parts, state).await?;
        let Ok(context) = RequestContext::from_request_parts(parts, state).await;
        let Caller {
            producer,
            key_id,
            name,
            ..
        } = &authorized.caller;
        let actor = Actor {
            name: name.to_string(),
            key: Some(ActorKey {
                key_id: key_id.to_string(),
                producer: *producer,
            }),
            request_id: Some(context.request_id.to_string()),
            reason: None,
        };
        Ok(Self { authorized, actor })
    }
}

/// What is wrong with a reason, if anything is.
pub(crate) fn reason_fault(reason: &str) -> Option<String> {
    let chars = reason.chars().count();
    let fits = (1..=REASON_CHARS).contains(&chars) && !reason.chars().any(char::is_control);
    (!fits).then(|| {
        format!("a reason has 1 to {REASON_CHARS} characters, none of them a control character")
    })
}
