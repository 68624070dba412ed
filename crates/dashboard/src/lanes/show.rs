//! `GET /v1/lanes/{order_id}?after=&limit=`: one lane with what waits in it, oldest first.

use axum::Json;
use axum::extract::State;
use orderly_domain::OrderId;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::Store;
use serde::Serialize;

use super::resource::{EntryResource, LaneResource};
use crate::failure::database;
use crate::request::{OrderPath, QueryParams};

const LIMIT: u32 = 100;

/// An entry may have 256 kB, though few have more than one.
const MOST: u32 = 256;

/// A lane and a page of it.
#[derive(Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    lane: LaneResource,
    commands: Vec<EntryResource>,
    /// Where the next page is, if there is one.
    next: Option<String>,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OpsRead>,
    OrderPath(order_id): OrderPath,
    mut query: QueryParams,
) -> Result<Json<Shown>, ProblemResponse> {
    let after: i64 = query.take("after")?.unwrap_or(0);
    let limit = query.take_limit(LIMIT, MOST)?;
    query.finish()?;
    let lane = store.lane(order_id).await.map_err(database)?;
    let lane = lane.ok_or_else(|| no_lane(order_id))?;
    let entries = store.lane_entries(order_id, after, limit + 1);
    let mut entries = entries.await.map_err(database)?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let last = entries.last().filter(|_| more);
    let next =
        last.map(|last| format!("/v1/lanes/{order_id}?after={}&limit={limit}", last.position));
    Ok(Json(Shown {
        lane: LaneResource::from(&lane),
        commands: entries.iter().map(EntryResource::from).collect(),
        next,
    }))
}

pub(super) fn no_lane(order_id: OrderId) -> ProblemResponse {
    let detail = format!("nothing of order {order_id} is parked, and it is not paused");
    Problem::new(ProblemCode::NotFound, detail).into()
}
