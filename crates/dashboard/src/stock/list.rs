//! `GET /v1/stock?limit=&cursor=`: all stock in SKU order.

use axum::Json;
use axum::extract::State;
use orderly_domain::Sku;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_store::Store;
use serde::Serialize;

use super::StockResource;
use crate::failure::database;
use crate::request::{QueryParams, invalid_sku, url_encoded};

const LIMIT: u32 = 100;

/// Some 150 bytes each: one answer stays below 200 kB.
const MOST: u32 = 1_000;

/// One page of stock.
#[derive(Serialize)]
pub(crate) struct Page {
    stock: Vec<StockResource>,
    /// Where the next page is, if there is one.
    next: Option<String>,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OrdersRead>,
    mut query: QueryParams,
) -> Result<Json<Page>, ProblemResponse> {
    // The cursor is the last SKU of the page before.
    let cursor: Option<String> = query.take("cursor")?;
    let cursor = cursor
        .map(|text| Sku::new(&text).ok_or_else(invalid_sku))
        .transpose()?;
    let limit = query.take_limit(LIMIT, MOST)?;
    query.finish()?;
    // One more than asked for tells whether there is another page.
    let mut rows = store
        .list_stock(cursor.as_ref(), limit + 1)
        .await
        .map_err(database)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|last| {
        format!(
            "/v1/stock?cursor={}&limit={limit}",
            url_encoded(last.sku.as_str())
        )
    });
    Ok(Json(Page {
        stock: rows.iter().map(StockResource::from).collect(),
        next,
    }))
}
