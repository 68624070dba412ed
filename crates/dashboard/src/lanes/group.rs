//! `POST /v1/lanes/retry|skip|discard` `{"fingerprint", "reason", "limit"?, "per_second"?, "dry_run"?}`: the same for every lane that
//! failed alike, one control command each, not faster than was asked for.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use orderly_domain::{CommandId, OrderId};
use orderly_http::{IdempotencyKey, JsonBody, ProblemResponse, scope};
use orderly_protocol::{ControlKind, LaneGroupRequest};
use orderly_store::Store;
use serde::Serialize;
use tokio::time::{Instant, interval};

use super::controls::Controls;
use super::resource::fingerprint;
use super::{invalid_control, list};
use crate::failure::database;
use crate::operator::Operator;

/// Lanes read at a time.
const PAGE: u32 = 500;

/// Whoever asked waits for the answer: what is not sent by then is told, to be asked for again.
const LONGEST: Duration = Duration::from_secs(25);

/// What was done.
#[derive(Serialize)]
pub(super) struct Group {
    /// Lanes that failed so.
    matched: usize,
    /// Control commands that were accepted; each answers for itself.
    accepted: usize,
    /// Lanes on which nothing was done: beyond the limit, or beyond the time of a request.
    left: usize,
    /// The orders, or those it would be.
    orders: Vec<String>,
    dry_run: bool,
}

pub(super) async fn handle(
    kind: ControlKind,
    State(controls): State<Controls>,
    operator: Operator<scope::OpsWrite>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Json<Group>, ProblemResponse> {
    let key = IdempotencyKey::from_headers(&headers)?;
    let request = LaneGroupRequest::parse(&body).map_err(invalid_control)?;
    let found = alike(controls.store(), &request.fingerprint).await?;
    let until = Instant::now() + LONGEST;
    let mut pace = interval(Duration::from_secs(1) / request.per_second);
    let mut orders = Vec::new();
    for &(order_id, head) in found.iter().take(request.limit as usize) {
        if !request.dry_run {
            pace.tick().await;
            if Instant::now() > until {
                break;
            }
            let act = LaneGroupRequest::act(kind, head).expect("an edit has no group");
            let control = (request.reason.clone(), act);
            let sent = controls.send(
                (operator.caller(), &operator.actor),
                key.as_ref(),
                Some(head),
                order_id,
                control,
            );
            match sent.await {
                Ok(_) => {}
                // Nothing was done yet: the whole request failed.
                Err(problem) if orders.is_empty() => return Err(problem),
                Err(_) => break,
            }
        }
        orders.push(order_id.to_string());
    }
    Ok(Json(Group {
        matched: found.len(),
        accepted: if request.dry_run { 0 } else { orders.len() },
        left: found.len() - orders.len(),
        orders,
        dry_run: request.dry_run,
    }))
}

/// Every lane with this failure, and its head.
async fn alike(store: &Store, wanted: &str) -> Result<Vec<(OrderId, CommandId)>, ProblemResponse> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = list::page(store, after, PAGE).await.map_err(database)?;
        let alike = page
            .lanes
            .iter()
            .filter(|lane| fingerprint(lane).as_deref() == Some(wanted));
        found.extend(alike.filter_map(|lane| {
            let head = lane.head.as_ref()?;
            Some((lane.order_id, head.command_id))
        }));
        match page.more_after {
            Some(last) => after = Some(last),
            None => return Ok(found),
        }
    }
}
