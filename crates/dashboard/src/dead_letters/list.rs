//! `GET /v1/dead-letters?state=open|resolved|all&limit=&cursor=`: newest first; the open ones, unless others are asked for.

use axum::Json;
use axum::extract::State;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_store::Store;
use serde::Serialize;

use super::DeadLetterResource;
use crate::failure::database;
use crate::request::{QueryParams, invalid};

const LIMIT: u32 = 50;

/// Some 600 bytes each: one answer stays around 300 kB.
const MOST: u32 = 500;

/// One page of dead letters.
#[derive(Serialize)]
pub(crate) struct Page {
    dead_letters: Vec<DeadLetterResource>,
    /// `cursor` of the next page; none after the last one.
    next_cursor: Option<i64>,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OpsRead>,
    mut query: QueryParams,
) -> Result<Json<Page>, ProblemResponse> {
    let open = match query.take::<String>("state")?.as_deref() {
        None | Some("open") => Some(true),
        Some("resolved") => Some(false),
        Some("all") => None,
        Some(_) => return Err(invalid("state in the query is one of open, resolved, all")),
    };
    let before = query.take("cursor")?;
    let limit = query.take_limit(LIMIT, MOST)?;
    query.finish()?;
    // One more than asked for tells whether there is another page.
    let letters = store.list_dead_letters(open, before, limit + 1).await;
    let mut letters = letters.map_err(database)?;
    let more = letters.len() > limit as usize;
    letters.truncate(limit as usize);
    let last = letters.last().filter(|_| more);
    Ok(Json(Page {
        next_cursor: last.map(|letter| letter.dead_letter_id),
        dead_letters: letters.into_iter().map(DeadLetterResource::from).collect(),
    }))
}
