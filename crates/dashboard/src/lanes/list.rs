//! `GET /v1/lanes?fingerprint=&limit=&cursor=`: every order that waits, and why.

use axum::Json;
use axum::extract::State;
use orderly_domain::OrderId;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::ids::parse_uuid;
use orderly_protocol::uuid::Uuid;
use orderly_store::{Lane, Store, StoreError};
use serde::Serialize;

use super::resource::{LaneResource, fingerprint};
use crate::failure::database;
use crate::request::{QueryParams, invalid, url_encoded};

const LIMIT: u32 = 100;

/// Some 600 bytes each: one answer stays below 1 MB.
const MOST: u32 = 1_000;

/// One page of lanes, by order id.
#[derive(Serialize)]
pub(crate) struct Page {
    lanes: Vec<LaneResource>,
    /// Where the next page is, if there is one.
    next: Option<String>,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OpsRead>,
    mut query: QueryParams,
) -> Result<Json<Page>, ProblemResponse> {
    let wanted: Option<String> = query.take("fingerprint")?;
    let cursor: Option<String> = query.take("cursor")?;
    let after = cursor
        .map(|text| parse_uuid(&text).ok_or_else(|| invalid("the cursor is not one of ours")))
        .transpose()?;
    let limit = query.take_limit(LIMIT, MOST)?;
    query.finish()?;
    let page = page(&store, after.map(OrderId), limit)
        .await
        .map_err(database)?;
    let next = page.more_after.map(|last| match &wanted {
        None => format!("/v1/lanes?cursor={last}&limit={limit}"),
        Some(wanted) => {
            let wanted = url_encoded(wanted);
            format!("/v1/lanes?fingerprint={wanted}&cursor={last}&limit={limit}")
        }
    });
    let alike = |lane: &&Lane| wanted.is_none() || fingerprint(lane) == wanted;
    Ok(Json(Page {
        lanes: page
            .lanes
            .iter()
            .filter(alike)
            .map(LaneResource::from)
            .collect(),
        next,
    }))
}

pub(super) struct LanePage {
    pub(super) lanes: Vec<Lane>,
    /// The last order of this page, if there is another page.
    pub(super) more_after: Option<OrderId>,
}

/// The lanes of orders behind this one.
pub(super) async fn page(
    store: &Store,
    after: Option<OrderId>,
    limit: u32,
) -> Result<LanePage, StoreError> {
    let from = after.map_or(Uuid::nil(), |after| {
        Uuid::from_u128(after.0.as_u128().saturating_add(1))
    });
    // One more than asked for tells whether there is another page.
    let mut lanes = store.lanes_from(OrderId(from), limit + 1).await?;
    let more = lanes.len() > limit as usize;
    lanes.truncate(limit as usize);
    let more_after = lanes.last().filter(|_| more).map(|last| last.order_id);
    Ok(LanePage { lanes, more_after })
}
