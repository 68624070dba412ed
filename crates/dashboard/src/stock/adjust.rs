//! `POST /v1/stock/{sku}/adjustments` `{"delta": n, "reason"?}`: adds to what is in the house, or takes from it, once per key.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use orderly_http::{IdempotencyKey, JsonBody, ProblemResponse, scope};
use orderly_protocol::serde_json::json;
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::Store;

use super::{answer, invalid, write};
use crate::failure::database;
use crate::operator::Operator;
use crate::request::{SkuPath, integer_and_reason};

const FIELD: &str = "delta";

pub(crate) async fn handle(
    State(store): State<Store>,
    operator: Operator<scope::StockWrite>,
    SkuPath(sku): SkuPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    // Without one, a client that lost the answer could not ask again without adding twice.
    let Some(key) = IdempotencyKey::from_headers(&headers)? else {
        let detail =
            "an adjustment needs an Idempotency-Key: repeated under the same key, it is made once";
        return Err(Problem::new(ProblemCode::InvalidHeader, detail).into());
    };
    let (delta, reason) = integer_and_reason(&body, FIELD).map_err(invalid)?;
    let key = key.into_string();
    let write = write(
        operator.caller(),
        sku,
        key,
        "stock.adjust",
        json!({ FIELD: delta }),
    );
    let actor = operator.actor.because(reason);
    let written = store.adjust_stock(&write, delta, &actor).await;
    answer(written.map_err(database)?, FIELD)
}
