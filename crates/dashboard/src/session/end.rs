//! `DELETE /session`: takes the cookie back. A copy of it would go on until its time is over: revoking the key ends that too.

use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use orderly_http::ProblemResponse;
use orderly_http::session::{cookie, refuse_cross_origin};

pub(crate) async fn handle(headers: HeaderMap) -> Result<Response, ProblemResponse> {
    refuse_cross_origin(&headers)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for ended in cookie::end() {
        headers.append(SET_COOKIE, ended);
    }
    Ok(response)
}
