//! The probes: `/livez`, `/readyz`, `/metrics`. Open to anyone who reaches the listener; they name no order.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::Readiness;

/// The probes of this process. `metrics` renders the Prometheus text format.
pub fn probe_router(
    readiness: Readiness,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(move || async move { readyz(&readiness) }))
        .route(
            "/metrics",
            get(move || async move { exposition(metrics()) }),
        )
}

/// Alive means that the runtime answers. Broker and database are no part of it: a restart would not bring them back.
async fn livez() -> Response {
    (no_store(), axum::Json(json!({"status": "alive"}))).into_response()
}

fn readyz(readiness: &Readiness) -> Response {
    let not_ready = readiness.not_ready();
    if not_ready.is_empty() {
        return (no_store(), axum::Json(json!({"status": "ready"}))).into_response();
    }
    let missing: Vec<_> = not_ready
        .iter()
        .map(|(name, reason)| json!({"check": name, "reason": reason}))
        .collect();
    let body = json!({"status": "not_ready", "not_ready": missing});
    (
        StatusCode::SERVICE_UNAVAILABLE,
        no_store(),
        axum::Json(body),
    )
        .into_response()
}

fn exposition(text: String) -> Response {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

fn no_store() -> [(axum::http::HeaderName, &'static str); 1] {
    [(CACHE_CONTROL, "no-store")]
}
