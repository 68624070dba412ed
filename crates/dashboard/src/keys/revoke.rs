//! `DELETE /v1/keys/{key_id}`: the key is refused everywhere within 10 s. Repeating it changes nothing.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::Store;

use crate::failure::database;

pub(crate) async fn handle(
    State(store): State<Store>,
    authorized: Authorized<scope::KeysAdmin>,
    Path(key_id): Path<String>,
) -> Result<StatusCode, ProblemResponse> {
    if store.revoke_key(&key_id).await.map_err(database)? {
        tracing::info!(
            key.id = key_id,
            by = &*authorized.caller.key_id,
            "API key revoked"
        );
        return Ok(StatusCode::NO_CONTENT);
    }
    let keys = store.list_keys().await.map_err(database)?;
    if keys.iter().any(|key| key.key_id == key_id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(ProblemCode::NotFound, "there is no API key of this id").into())
}
