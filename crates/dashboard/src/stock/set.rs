//! `PUT /v1/stock/{sku}` `{"on_hand": n, "reason"?}`: sets what is in the house. The same request again leaves the same level, so a key is
//! not required; with one, a late repetition does not undo what came after it.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use orderly_http::{IdempotencyKey, JsonBody, ProblemResponse, scope};
use orderly_protocol::serde_json::json;
use orderly_store::Store;
use uuid::Uuid;

use super::{answer, invalid, write};
use crate::failure::database;
use crate::operator::Operator;
use crate::request::{SkuPath, integer_and_reason};

const FIELD: &str = "on_hand";

pub(crate) async fn handle(
    State(store): State<Store>,
    operator: Operator<scope::StockWrite>,
    SkuPath(sku): SkuPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let key = IdempotencyKey::from_headers(&headers)?;
    let (on_hand, reason) = integer_and_reason(&body, FIELD).map_err(invalid)?;
    // The record of a write is found by its key; one that nobody will ask for again still needs one.
    let key = key.map_or_else(
        || format!("put:{}", Uuid::now_v7()),
        IdempotencyKey::into_string,
    );
    let write = write(
        operator.caller(),
        sku,
        key,
        "stock.set",
        json!({ FIELD: on_hand }),
    );
    let actor = operator.actor.because(reason);
    let written = store.set_stock(&write, on_hand, &actor).await;
    answer(written.map_err(database)?, FIELD)
}
