//! `GET /session`: who is logged in, and until when. 204 when nobody is: a page that asks is no fault.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use orderly_http::{Keyring, ProblemResponse};
use orderly_protocol::{ProblemCode, timestamp};
use serde::Serialize;

#[derive(Serialize)]
struct SessionResource<'a> {
    /// The name of the API key.
    name: &'a str,
    key_id: &'a str,
    producer: String,
    scopes: Vec<&'static str>,
    expires_at: String,
}

pub(crate) async fn handle(
    State(keyring): State<Keyring>,
    headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let no_store = [(CACHE_CONTROL, "no-store")];
    let session = match keyring.session(&headers).await {
        Err(refusal) if refusal.problem().code == ProblemCode::Unauthenticated.as_str() => None,
        other => other?,
    };
    let Some((caller, expires_at)) = session else {
        return Ok((StatusCode::NO_CONTENT, no_store).into_response());
    };
    let resource = SessionResource {
        name: &caller.name,
        key_id: &caller.key_id,
        producer: caller.producer.to_string(),
        scopes: caller.scopes.iter().map(|scope| scope.as_str()).collect(),
        expires_at: timestamp::format(expires_at),
    };
    Ok((no_store, Json(resource)).into_response())
}
