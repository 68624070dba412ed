//! `POST /v1/keys` `{"name", "scopes", "producer"?, "reason"?}`: a new key. Its token is in this answer and nowhere else.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::response::{IntoResponse, Response};
use orderly_domain::ProducerId;
use orderly_http::{JsonBody, ProblemResponse, scope};
use orderly_protocol::api_key::{self, Scope};
use orderly_protocol::ids::parse_uuid;
use orderly_protocol::serde_json::{self, Value, json};
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::NewApiKey;
use serde::Deserialize;
use uuid::Uuid;

use crate::DashboardState;
use crate::failure::{database, internal};
use crate::operator::{Operator, reason_fault};

/// Characters of a key's name: one line of a table.
const NAME_CHARS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    name: String,
    scopes: Vec<String>,
    /// Another key of the same producer shares its idempotency keys; without it, the key is a new producer's.
    producer: Option<String>,
    /// For the audit.
    reason: Option<String>,
}

/// A request that was read.
struct Wanted {
    name: String,
    scopes: Vec<Scope>,
    producer: ProducerId,
    reason: Option<String>,
}

pub(crate) async fn handle(
    State(state): State<DashboardState>,
    operator: Operator<scope::KeysAdmin>,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let Wanted {
        name,
        scopes,
        producer,
        reason,
    } = read(body).map_err(|detail| Problem::new(ProblemCode::InvalidParameter, detail))?;
    let key = api_key::generate(&state.key_environment).map_err(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "cannot make an API key"
        );
        internal()
    })?;
    let scope_names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let answer = json!({
        "key_id": key.key_id,
        "token": key.token,
        "name": name,
        "producer": producer.to_string(),
        "scopes": scope_names,
    });
    let location = format!("/v1/keys/{}", key.key_id);
    tracing::info!(
        key.id = key.key_id,
        by = &*operator.caller().key_id,
        "API key made"
    );
    let new = NewApiKey {
        key_id: key.key_id,
        producer,
        name,
        secret_hash: key.secret_hash.0,
        scopes,
    };
    let actor = operator.actor.because(reason);
    let stored = state.store.insert_key(&new, &actor).await;
    stored.map_err(database)?;
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(answer)).into_response())
}

fn read(body: Value) -> Result<Wanted, String> {
    let request: Request = serde_json::from_value(body).map_err(|error| error.to_string())?;
    let chars = request.name.chars().count();
    if !(1..=NAME_CHARS).contains(&chars) || request.name.chars().any(char::is_control) {
        return Err(format!(
            "name has 1 to {NAME_CHARS} characters, none of them a control character"
        ));
    }
    let known = || Scope::ALL.map(Scope::as_str).join(", ");
    let scope = |name: &String| {
        Scope::parse(name).ok_or_else(|| format!("{name:?} is no scope; known: {}", known()))
    };
    let mut scopes = request
        .scopes
        .iter()
        .map(scope)
        .collect::<Result<Vec<_>, _>>()?;
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(format!("scopes names at least one of {}", known()));
    }
    let producer = match request.producer {
        None => Uuid::now_v7(),
        Some(text) => parse_uuid(&text).ok_or("producer is not a UUID")?,
    };
    if let Some(fault) = request.reason.as_deref().and_then(reason_fault) {
        return Err(fault);
    }
    Ok(Wanted {
        name: request.name,
        scopes,
        producer: ProducerId(producer),
        reason: request.reason,
    })
}
