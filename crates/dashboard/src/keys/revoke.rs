//! `DELETE /v1/keys/{key_id}?reason=`: the key is refused everywhere within 10 s. Repeating it changes nothing.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use orderly_http::{ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::Store;

use crate::failure::database;
use crate::operator::{Operator, reason_fault};
use crate::request::{QueryParams, invalid};

pub(crate) async fn handle(
    State(store): State<Store>,
    operator: Operator<scope::KeysAdmin>,
    Path(key_id): Path<String>,
    mut query: QueryParams,
) -> Result<StatusCode, ProblemResponse> {
    let reason: Option<String> = query.take("reason")?;
    query.finish()?;
    if let Some(fault) = reason.as_deref().and_then(reason_fault) {
        return Err(invalid(fault));
    }
    let key_of_operator = operator.caller().key_id.clone();
    let actor = operator.actor.because(reason);
    if store.revoke_key(&key_id, &actor).await.map_err(database)? {
        tracing::info!(key.id = key_id, by = &*key_of_operator, "API key revoked");
        return Ok(StatusCode::NO_CONTENT);
    }
    let keys = store.list_keys().await.map_err(database)?;
    if keys.iter().any(|key| key.key_id == key_id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(ProblemCode::NotFound, "there is no API key of this id").into())
}
