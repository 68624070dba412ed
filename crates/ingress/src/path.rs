//! Ids in paths.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use orderly_http::ProblemResponse;
use orderly_protocol::{ProblemCode, ids};
use uuid::Uuid;

/// The only id in the path of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdInPath<T>(pub(crate) T);

impl<T: From<Uuid>, S: Send + Sync> FromRequestParts<S> for IdInPath<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| ids::parse_uuid(&text));
        id.map(|id| Self(id.into())).ok_or_else(|| {
            ProblemResponse::new(
                ProblemCode::InvalidParameter,
                "the id in the path is not a UUID",
            )
        })
    }
}
