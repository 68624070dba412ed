//! Stock as people and systems outside orders see and write it. The rules of a write are crate domain's, its transaction
//! is crate store's.

pub(crate) mod adjust;
pub(crate) mod list;
pub(crate) mod set;
pub(crate) mod show;

use axum::Json;
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use orderly_domain::{Sku, StockWriteError};
use orderly_http::{Caller, ProblemResponse};
use orderly_protocol::serde_json::{Value, json};
use orderly_protocol::{FieldFault, Problem, ProblemCode, fingerprint, timestamp};
use orderly_store::{StockRow, StockWrite, StockWriteResult};
use serde::Serialize;
use uuid::Uuid;

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The stock of one SKU.
#[derive(Serialize)]
pub(crate) struct StockResource {
    sku: String,
    /// Pieces in the house.
    on_hand: i64,
    /// Pieces promised to orders.
    reserved: i64,
    /// Pieces that can still be promised.
    available: i64,
    updated_at: String,
}

impl From<&StockRow> for StockResource {
    fn from(row: &StockRow) -> Self {
        Self {
            sku: row.sku.as_str().to_owned(),
            on_hand: row.level.on_hand,
            reserved: row.level.reserved,
            available: row.level.available(),
            updated_at: timestamp::format(row.updated_at),
        }
    }
}

/// A write of this caller under this key. `kind` and `data` make its fingerprint.
fn write(caller: &Caller, sku: Sku, key: String, kind: &str, mut data: Value) -> StockWrite {
    data["sku"] = json!(sku.as_str());
    StockWrite {
        write_id: Uuid::now_v7(),
        producer: caller.producer,
        key,
        fingerprint: fingerprint(kind, None, &data, None),
        sku,
    }
}

/// The answer to a write; `field` is where the body has its number.
fn answer(result: StockWriteResult, field: &str) -> Result<Response, ProblemResponse> {
    let refusal = match result {
        StockWriteResult::Written { row, replayed } => {
            let resource = Json(StockResource::from(&row));
            return Ok(if replayed {
                ([(IDEMPOTENT_REPLAYED, "true")], resource).into_response()
            } else {
                resource.into_response()
            });
        }
        StockWriteResult::KeyReused => {
            let detail = "this Idempotency-Key belongs to another stock write; nothing was written";
            return Err(Problem::new(ProblemCode::IdempotencyKeyReused, detail).into());
        }
        StockWriteResult::Refused(refusal) => refusal,
    };
    Err(match refusal {
        StockWriteError::BelowReserved { .. } => Problem::new(
            ProblemCode::StockBelowReserved,
            format!("{refusal}; nothing was written"),
        )
        .into(),
        StockWriteError::OutOfRange => invalid(vec![FieldFault {
            pointer: format!("/{field}"),
            code: "invalid_value".to_owned(),
            detail: refusal.to_string(),
        }]),
    })
}

fn invalid(faults: Vec<FieldFault>) -> ProblemResponse {
    let problem = Problem::new(
        ProblemCode::InvalidStockWrite,
        "the body does not describe a stock level that can be",
    );
    problem.with_errors(faults).into()
}
