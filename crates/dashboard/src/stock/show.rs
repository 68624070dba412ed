//! `GET /v1/stock/{sku}`.

use axum::Json;
use axum::extract::State;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::Store;

use super::StockResource;
use crate::failure::database;
use crate::request::SkuPath;

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OrdersRead>,
    SkuPath(sku): SkuPath,
) -> Result<Json<StockResource>, ProblemResponse> {
    match store.stock(&sku).await.map_err(database)? {
        Some(row) => Ok(Json(StockResource::from(&row))),
        None => Err(Problem::new(
            ProblemCode::NotFound,
            format!("no stock is kept under {sku}"),
        )
        .into()),
    }
}
