//! `POST /session` `{"api_key": "ord_…"}`: exchanges an API key for the cookie of a session. The key itself is not kept.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use orderly_http::session::{cookie, refuse_cross_origin};
use orderly_http::{JsonBody, ProblemResponse};
use orderly_protocol::serde_json::Value;
use orderly_protocol::{FieldFault, Problem, ProblemCode};

use crate::DashboardState;

const FIELD: &str = "api_key";

pub(crate) async fn handle(
    State(state): State<DashboardState>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    // Another site must not log the browser in, either: as somebody else, without its person noticing.
    refuse_cross_origin(&headers)?;
    let key = read(&body)?;
    let caller = state.keyring.authenticate(key.trim()).await?;
    let opened = state.keyring.open_session(&caller)?;
    tracing::info!(key.id = &*caller.key_id, "session opened");
    let cookie = cookie::open(&opened, state.cookie_security.secure(&headers));
    let headers = [
        (SET_COOKIE, cookie),
        (CACHE_CONTROL, "no-store".parse().expect("plain ASCII")),
    ];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

fn read(body: &Value) -> Result<&str, ProblemResponse> {
    let only = body.as_object().filter(|fields| fields.len() == 1);
    let key = only.and_then(|fields| fields.get(FIELD)?.as_str());
    key.ok_or_else(|| {
        let fault = FieldFault {
            pointer: format!("/{FIELD}"),
            code: "invalid_value".to_owned(),
            detail: "must be an API key, and the only field".to_owned(),
        };
        Problem::new(ProblemCode::InvalidParameter, "the body names no API key")
            .with_errors(vec![fault])
            .into()
    })
}
