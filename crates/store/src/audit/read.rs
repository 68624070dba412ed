//! The audit as it is read: page by page for people, whole for who checks the chain.

use orderly_protocol::Timestamp;
use orderly_protocol::audit::{AuditContent, AuditHash, AuditRecord};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Store, StoreError};

/// Entries that one page may look at: nothing but the chain's order has an index, so that appending stays cheap. Passing so
/// many takes some 10 ms.
const LOOKED_AT: i64 = 10_000;

/// Which entries; what is not given lets every entry pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Name or id of the key, or `user@host`.
    pub actor: Option<String>,
    /// The action, or what stands before its last dot: `key` for all that is done to keys.
    pub action: Option<String>,
    /// The target.
    pub target: Option<String>,
    /// Not older than this.
    pub since: Option<Timestamp>,
}

/// Where a page of the audit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditPlace {
    /// Newest first, from the entry before this id.
    Before(i64),
    /// Oldest first, from the entry after this id.
    After(i64),
}

impl AuditPlace {
    /// Newest first, from the end of the chain.
    pub const NEWEST: Self = Self::Before(i64::MAX);
}

/// One page of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// In the direction of the place. Fewer than asked for, even none, does not mean that it is the last page.
    pub entries: Vec<AuditRecord>,
    /// Where the next page is. None behind the oldest entry; behind the newest one there is always a place to go on later.
    pub next: Option<AuditPlace>,
}

struct AuditCells {
    audit_id: i64,
    at: OffsetDateTime,
    actor: String,
    producer: Option<Uuid>,
    key_id: Option<String>,
    action: String,
    target: String,
    before: Option<String>,
    after: Option<String>,
    reason: Option<String>,
    request_id: Option<String>,
    result: String,
    code: Option<String>,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl Store {
    /// Up to `limit` entries that pass `filter`, from `place` on.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        place: AuditPlace,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        let head = bounded(
            sqlx::query_scalar!(r#"select coalesce(max(audit_id), 0) as "head!" from audit"#)
                .fetch_one(self.pool()),
        )
        .await?;
        // Ids have no gap, so a range of them is a number of entries.
        let (after, to) = match place {
            AuditPlace::Before(id) => {
                let to = id.saturating_sub(1).clamp(0, head);
                ((to - LOOKED_AT).max(0), to)
            }
            AuditPlace::After(id) => (id, id.saturating_add(LOOKED_AT).min(head)),
        };
        let entries = self.look_at_audit(filter, place, after, to, limit).await?;
        let last = entries.last().map(|entry| entry.content.audit_id);
        let last = last.filter(|_| entries.len() == limit as usize);
        let next = match place {
            AuditPlace::Before(_) => {
                let next = AuditPlace::Before(last.unwrap_or(after + 1));
                (next != AuditPlace::Before(1)).then_some(next)
            }
            AuditPlace::After(id) => Some(AuditPlace::After(last.unwrap_or(to.max(id)))),
        };
        Ok(AuditPage { entries, next })
    }

    async fn look_at_audit(
        &self,
        filter: &AuditFilter,
        place: AuditPlace,
        after: i64,
        to: i64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let sign = match place {
            AuditPlace::Before(_) => -1,
            AuditPlace::After(_) => 1,
        };
        let rows = bounded(
            sqlx::query_as!(
                AuditCells,
                r#"select audit_id, at, actor, producer, key_id, action, target,
                       before::text, after::text, reason, request_id, result, code, previous_hash, hash
                   from audit
                   where audit_id > $1 and audit_id <= $2
                     and ($3::text is null or actor = $3 or key_id = $3)
                     and ($4::text is null or action = $4 or starts_with(action, $4 || '.'))
                     and ($5::text is null or target = $5)
                     and ($6::timestamptz is null or at >= $6)
                   order by audit_id * $7::bigint
                   limit $8"#,
                after,
                to,
                filter.actor,
                filter.action,
                filter.target,
                filter.since,
                sign,
                i64::from(limit),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        rows.into_iter().map(AuditRecord::try_from).collect()
    }

    /// Up to `limit` entries after the one with this id, oldest first, whatever was done to the table: for who checks the chain.
    ///
    /// # Errors
    /// Any fault of the database, and a cell that no entry can have.
    pub async fn audit_chain(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = bounded(
            sqlx::query_as!(
                AuditCells,
                r#"select audit_id, at, actor, producer, key_id, action, target,
                       before::text, after::text, reason, request_id, result, code, previous_hash, hash
                   from audit where audit_id > $1 order by audit_id limit $2"#,
                after,
                i64::from(limit),
            )
            .fetch_all(self.pool()),
        )
        .await?;
        rows.into_iter().map(AuditRecord::try_from).collect()
    }
}

impl TryFrom<AuditCells> for AuditRecord {
    type Error = StoreError;

    fn try_from(cells: AuditCells) -> Result<Self, StoreError> {
        let row = Row::new("audit", &cells.audit_id);
        let json = |column, cell: Option<String>| {
            let read = cell.map(|cell| serde_json::from_str::<Value>(&cell));
            read.transpose().map_err(|_| row.bad(column, "JSON"))
        };
        Ok(Self {
            hash: AuditHash::new(row.bytes("hash", &cells.hash)?),
            content: AuditContent {
                before: json("before", cells.before)?,
                after: json("after", cells.after)?,
                previous_hash: AuditHash::new(row.bytes("previous_hash", &cells.previous_hash)?),
                audit_id: cells.audit_id,
                at: cells.at,
                actor: cells.actor,
                producer: cells.producer,
                key_id: cells.key_id,
                action: cells.action,
                target: cells.target,
                reason: cells.reason,
                request_id: cells.request_id,
                result: cells.result,
                code: cells.code,
            },
        })
    }
}
