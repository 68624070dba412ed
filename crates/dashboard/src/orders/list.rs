//! `GET /v1/orders?status=&customer_id=&sku=&limit=&cursor=`: orders, newest first, page by page.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use orderly_domain::{OrderId, Sku, Status};
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::time::OffsetDateTime;
use orderly_protocol::{MoneyResource, timestamp};
use orderly_store::{OrderFilter, OrderPlace, OrderSummary, Store};
use serde::Serialize;
use uuid::Uuid;

use crate::failure::database;
use crate::request::{QueryParams, invalid, invalid_sku};

const LIMIT: u32 = 50;

/// Some 400 bytes each: one answer stays around 200 kB.
const MOST: u32 = 500;

/// One page of orders.
#[derive(Serialize)]
pub(crate) struct Page {
    /// Newest first. A page may hold fewer than asked for, even none, and not be the last: where few orders pass the
    /// filters, one request does not look at all of them.
    orders: Vec<OrderSummaryResource>,
    /// `cursor` of the next page; none after the last one.
    next_cursor: Option<String>,
}

/// An order in short.
#[derive(Serialize)]
struct OrderSummaryResource {
    order_id: Uuid,
    version: u64,
    status: &'static str,
    held: bool,
    customer_id: String,
    total: MoneyResource,
    created_at: String,
    updated_at: String,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OrdersRead>,
    mut query: QueryParams,
) -> Result<Json<Page>, ProblemResponse> {
    let filter = OrderFilter {
        status: query
            .take::<String>("status")?
            .map(|name| status(&name))
            .transpose()?,
        customer_id: query.take("customer_id")?.map(customer_id).transpose()?,
        sku: query
            .take::<String>("sku")?
            .map(|text| Sku::new(&text).ok_or_else(invalid_sku))
            .transpose()?,
    };
    let after = query
        .take::<String>("cursor")?
        .map(|text| from_cursor(&text))
        .transpose()?;
    let limit = query.take_limit(LIMIT, MOST)?;
    query.finish()?;
    let page = store
        .list_orders(&filter, after, limit)
        .await
        .map_err(database)?;
    Ok(Json(Page {
        orders: page.orders.into_iter().map(resource).collect(),
        next_cursor: page.next.map(cursor),
    }))
}

fn status(name: &str) -> Result<Status, ProblemResponse> {
    Status::parse(name).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        invalid(format!("status in the query is one of {known}"))
    })
}

fn customer_id(text: String) -> Result<String, ProblemResponse> {
    // Postgres keeps no NUL in a text.
    if text.is_empty() || text.contains('\0') {
        return Err(invalid("customer_id in the query is not a customer's id"));
    }
    Ok(text)
}

fn resource(order: OrderSummary) -> OrderSummaryResource {
    OrderSummaryResource {
        order_id: order.order_id.0,
        version: order.version.0,
        status: order.status.as_str(),
        held: order.held,
        customer_id: order.customer_id,
        total: MoneyResource {
            amount_minor: order.total_minor,
            currency: order.currency,
        },
        created_at: timestamp::format(order.created_at),
        updated_at: timestamp::format(order.updated_at),
    }
}

/// Opaque to clients: microseconds since 1970 and the order's id, 24 bytes as base64url.
fn cursor(place: OrderPlace) -> String {
    let micros = i64::try_from(place.created_at.unix_timestamp_nanos() / 1_000)
        .expect("Postgres keeps times as 64-bit microseconds");
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&micros.to_be_bytes());
    bytes[8..].copy_from_slice(place.order_id.0.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn from_cursor(text: &str) -> Result<OrderPlace, ProblemResponse> {
    let place = || {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (micros, order_id) = bytes.split_first_chunk::<8>()?;
        // No order is older than 1970, and Postgres does not know every year that has a number.
        let micros = u64::try_from(i64::from_be_bytes(*micros)).ok()?;
        let nanos = i128::from(micros) * 1_000;
        Some(OrderPlace {
            created_at: OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?,
            order_id: OrderId(Uuid::from_slice(order_id).ok()?),
        })
    };
    place().ok_or_else(|| invalid("cursor in the query is not one that this list gave"))
}

#[cfg(test)]
mod tests {
    use orderly_domain::OrderId;
    use orderly_protocol::time::{Duration, OffsetDateTime};
    use orderly_store::OrderPlace;
    use uuid::Uuid;

    use super::{cursor, from_cursor};

    #[test]
    fn a_cursor_names_its_place_to_the_microsecond() {
        let place = OrderPlace {
            created_at: OffsetDateTime::UNIX_EPOCH + Duration::microseconds(1_795_000_000_123_457),
            order_id: OrderId(Uuid::from_u128(7)),
        };
        assert_eq!(from_cursor(&cursor(place)).unwrap(), place);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let long = "A".repeat(33);
        let (beyond_time, before_time) = ("f".repeat(32), "_".repeat(32));
        for text in ["", "x", "!", "AAAA", &long, &beyond_time, &before_time] {
            assert!(from_cursor(text).is_err(), "{text:?}");
        }
    }
}
