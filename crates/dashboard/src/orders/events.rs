//! `GET /v1/orders/{order_id}/events?after=&limit=`: the order's events after a version, oldest first. Consumers of the event
//! stream read a gap here.

use axum::Json;
use axum::extract::State;
use orderly_domain::Version;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::CloudEvent;
use orderly_store::Store;
use serde::Serialize;

use super::not_found;
use crate::failure::database;
use crate::request::{OrderPath, QueryParams};

const LIMIT: u32 = 100;

/// The largest events (1,000 lines) have some 100 kB: one answer stays below 20 MB.
const MOST: u32 = 200;

/// One page of events.
#[derive(Serialize)]
pub(crate) struct Page {
    events: Vec<CloudEvent>,
    /// Where the next page is, if there is one.
    next: Option<String>,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OrdersRead>,
    OrderPath(order_id): OrderPath,
    mut query: QueryParams,
) -> Result<Json<Page>, ProblemResponse> {
    let after = Version(query.take("after")?.unwrap_or_default());
    let limit = query.take_limit(LIMIT, MOST)?;
    query.finish()?;
    // One more than asked for tells whether there is another page.
    let mut events = store
        .events(order_id, after, limit + 1)
        .await
        .map_err(database)?;
    if events.is_empty() && store.order(order_id).await.map_err(database)?.is_none() {
        return Err(not_found(order_id));
    }
    let more = events.len() > limit as usize;
    events.truncate(limit as usize);
    let next = events.last().filter(|_| more).map(|last| {
        format!(
            "/v1/orders/{order_id}/events?after={}&limit={limit}",
            last.version
        )
    });
    Ok(Json(Page {
        events: events.iter().map(CloudEvent::from).collect(),
        next,
    }))
}
