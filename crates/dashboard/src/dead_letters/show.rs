//! `GET /v1/dead-letters/{id}`: one with its bytes and headers, exactly as they came.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::serde_json::{self, Value};
use orderly_store::Store;
use serde::Serialize;

use super::{DeadLetterResource, not_found};
use crate::failure::{database, internal};

/// A dead letter, whole.
#[derive(Serialize)]
pub(crate) struct WholeDeadLetter {
    #[serde(flatten)]
    summary: DeadLetterResource,
    body_base64: String,
    /// The same bytes, where they are UTF-8.
    body_text: Option<String>,
    headers: Value,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OpsRead>,
    Path(id): Path<i64>,
) -> Result<Json<WholeDeadLetter>, ProblemResponse> {
    let letter = store.dead_letter(id).await.map_err(database)?;
    let letter = letter.ok_or_else(not_found)?;
    Ok(Json(WholeDeadLetter {
        summary: letter.summary.into(),
        body_base64: STANDARD.encode(&letter.body),
        headers: serde_json::from_str(&letter.headers).map_err(|_| internal())?,
        body_text: String::from_utf8(letter.body).ok(),
    }))
}
