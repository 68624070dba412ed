//! `GET /v1/audit?actor=&action=&target=&since=&limit=&cursor=|after=`: entries of the chain, page by page.
//!
//! Newest first; with `after`, from the entry behind that id on, oldest first. Each entry is shown with everything that its hash
//! covers, so that a reader can check the chain by himself ([`orderly_protocol::audit`]).

use axum::Json;
use axum::extract::State;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::audit::AuditRecord;
use orderly_protocol::timestamp;
use orderly_store::{AuditFilter, AuditPlace, Store};
use serde::Serialize;

use crate::failure::database;
use crate::request::{QueryParams, invalid};

const LIMIT: u32 = 50;

/// Some 700 bytes each: one answer stays around 350 kB.
const MOST: u32 = 500;

/// One page of the audit.
#[derive(Serialize)]
pub(crate) struct Page {
    /// A page may hold fewer than asked for, even none, and not be the last: one request does not look at all entries.
    entries: Vec<AuditRecord>,
    /// `cursor` of the next page; none after the oldest entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<i64>,
    /// Of a page that was asked for with `after`: `after` of the next one. Where nothing is left it is where to ask again later.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<i64>,
}

pub(crate) async fn handle(
    State(store): State<Store>,
    _: Authorized<scope::OpsRead>,
    mut query: QueryParams,
) -> Result<Json<Page>, ProblemResponse> {
    let filter = AuditFilter {
        actor: text(&mut query, "actor")?,
        action: text(&mut query, "action")?,
        target: text(&mut query, "target")?,
        since: query
            .take::<String>("since")?
            .map(|text| timestamp::parse(&text))
            .transpose()
            .map_err(|_| {
                invalid("since in the query is a time of RFC 3339, as 2026-11-23T08:30:00Z")
            })?,
    };
    let place = match (query.take("cursor")?, query.take("after")?) {
        (None, None) => AuditPlace::NEWEST,
        (Some(cursor), None) if cursor > 0 => AuditPlace::Before(cursor),
        (None, Some(after)) if after >= 0 => AuditPlace::After(after),
        (Some(_), Some(_)) => {
            return Err(invalid("cursor and after in the query exclude each other"));
        }
        _ => return Err(invalid("cursor and after in the query are ids of entries")),
    };
    let limit = query.take_limit(LIMIT, MOST)?;
    query.finish()?;
    let page = store
        .audit_page(&filter, place, limit)
        .await
        .map_err(database)?;
    let (next_cursor, next_after) = match page.next {
        None => (None, None),
        Some(AuditPlace::Before(id)) => (Some(id), None),
        Some(AuditPlace::After(id)) => (None, Some(id)),
    };
    Ok(Json(Page {
        entries: page.entries,
        next_cursor,
        next_after,
    }))
}

fn text(query: &mut QueryParams, name: &str) -> Result<Option<String>, ProblemResponse> {
    let text: Option<String> = query.take(name)?;
    // Postgres keeps no NUL in a text.
    if text.as_ref().is_some_and(|text| text.contains('\0')) {
        return Err(invalid(format!(
            "{name} in the query has a value that it cannot have"
        )));
    }
    Ok(text)
}
