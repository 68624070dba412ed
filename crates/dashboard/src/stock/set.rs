//! `PUT /v1/stock/{sku}` `{"on_hand": n}`: sets what is in the house. The same request again leaves the same level, so a key is
//! not required; with one, a late repetition does not undo what came after it.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use orderly_http::{Authorized, IdempotencyKey, JsonBody, ProblemResponse, scope};
use orderly_protocol::serde_json::json;
use orderly_store::Store;
use uuid::Uuid;

use super::{answer, invalid, write};
use crate::failure::database;
use crate::request::{SkuPath, only_integer};

const FIELD: &str = "on_hand";

pub(crate) async fn handle(
    State(store): State<Store>,
    authorized: Authorized<scope::StockWrite>,
    SkuPath(sku): SkuPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let key = IdempotencyKey::from_headers(&headers)?;
    let on_hand = only_integer(&body, FIELD).map_err(invalid)?;
    // The record of a write is found by its key; one that nobody will ask for again still needs one.
    let key = key.map_or_else(
        || format!("put:{}", Uuid::now_v7()),
        IdempotencyKey::into_string,
    );
    let write = write(
        &authorized.caller,
        sku,
        key,
        "stock.set",
        json!({ FIELD: on_hand }),
    );
    answer(
        store.set_stock(&write, on_hand).await.map_err(database)?,
        FIELD,
    )
}
