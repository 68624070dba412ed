//! `GET /v1/keys`: every key, revoked ones too, oldest first. Secrets are not kept, so none is shown.

use axum::Json;
use axum::extract::State;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::timestamp;
use orderly_store::{ApiKey, Store};
use serde::Serialize;

use crate::failure::database;

/// All keys. They are made by hand, so there is one page.
#[derive(Serialize)]
pub(crate) struct Keys {
    keys: Vec<KeyResource>,
}

#[derive(Serialize)]
struct KeyResource {
    key_id: String,
    name: String,
    producer: String,
    scopes: Vec<&'static str>,
    created_at: String,
    revoked_at: Option<String>,
}

impl From<ApiKey> for KeyResource {
    fn from(key: ApiKey) -> Self {
        Self {
            key_id: key.key_id,
            name: key.name,
            producer: key.producer.to_string(),
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            created_at: timestamp::format(key.created_at),
            revoked_at: key.revoked_at.map(timestamp::format),
        }
    }
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::KeysAdmin>,
) -> Result<Json<Keys>, ProblemResponse> {
    let keys = store.list_keys().await.map_err(database)?;
    Ok(Json(Keys {
        keys: keys.into_iter().map(KeyResource::from).collect(),
    }))
}
