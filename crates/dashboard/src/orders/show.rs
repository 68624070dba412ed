//! `GET /v1/orders/{order_id}`: the order as it is now, what can be done with it, and why it is not moving.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::{OrderResource, parse_order_state};
use orderly_store::Store;

use super::hindrance::hindrance;
use super::not_found;
use crate::etag;
use crate::failure::{database, internal};
use crate::lanes::waiting;
use crate::request::OrderPath;

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OrdersRead>,
    OrderPath(order_id): OrderPath,
    headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let row = store
        .order(order_id)
        .await
        .map_err(database)?
        .ok_or_else(|| not_found(order_id))?;
    let lane = store.lane(order_id).await.map_err(database)?;
    let order = parse_order_state(&row.state).map_err(|error| {
        tracing::error!(order.id = %order_id, error = &error as &dyn std::error::Error, "order state cannot be read");
        internal()
    })?;
    let waiting = match lane.as_ref().map(waiting) {
        Some(waiting) => Some(waiting),
        None => hindrance(&store, order_id).await.map_err(database)?,
    };
    // The tag is the version, which a lane does not change: what may be kept is only an order that is not waiting.
    let caching = if waiting.is_some() {
        "no-store"
    } else {
        "private, no-cache"
    };
    let resource = OrderResource::new(&order, row.created_at, row.updated_at, waiting);
    let etag = resource.etag();
    let known = resource.waiting.is_none() && etag::matches(&headers, &etag);
    let headers = [(ETAG, etag), (CACHE_CONTROL, caching.to_owned())];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, Json(resource)).into_response())
}
