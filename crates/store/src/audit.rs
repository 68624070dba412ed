//! The audit: who did what, as a chain of entries that only grows.
//!
//! An action whose effect is in Postgres appends its entry in the transaction of the effect ([`append`], its last statement).
//! One whose effect is elsewhere appends after it, with [`Store::audit`]. An action that finds nothing to do leaves none.
//! What an entry's hash covers is said by [`orderly_protocol::audit`].

use orderly_domain::ProducerId;
use orderly_protocol::Timestamp;
use orderly_protocol::audit::{AuditContent, AuditHash, AuditRecord, is_exact_number};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Store, StoreError};

/// Entries that one page may look at: nothing but the chain's order has an index, so that appending stays cheap. Passing so
/// many takes some 10 ms.
const LOOKED_AT: i64 = 10_000;

/// Who acts, by which request, and why: the same for every entry of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Name of the API key; `user@host` for a command that speaks to the database itself.
    pub name: String,
    /// The key, unless there is none.
    pub key: Option<ActorKey>,
    /// The request, as its answer and the log name it.
    pub request_id: Option<String>,
    /// Why, in the actor's own words.
    pub reason: Option<String>,
}

/// The API key of an [`Actor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorKey {
    /// Its public part.
    pub key_id: String,
    /// Whose it is.
    pub producer: ProducerId,
}

impl Actor {
    /// A person at a shell who speaks to the database itself. The database's own rules let him in, so the name is what he says.
    #[must_use]
    pub fn local(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key: None,
            request_id: None,
            reason: None,
        }
    }

    /// Who it is, for people: a key by its name and its id.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.key {
            Some(key) => format!("{} ({})", self.name, key.key_id),
            None => self.name.clone(),
        }
    }

    /// The same, with what he says why.
    #[must_use]
    pub fn because(self, reason: Option<String>) -> Self {
        Self { reason, ..self }
    }
}

/// An entry to append.
///
/// ```
/// # use orderly_store::{Actor, AuditEntry};
/// # use serde_json::json;
/// # let actor = Actor::local("ada@shop");
/// AuditEntry::new(&actor, "shard.pause", "shard/g1.003")
///     .before(json!({"paused": false}))
///     .after(json!({"paused": true}));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    actor: Actor,
    action: &'static str,
    target: String,
    before: Option<Value>,
    after: Option<Value>,
    /// Why it was refused.
    code: Option<String>,
}

impl AuditEntry {
    /// `actor` did `action`, a stable name as `key.revoke`, to `target`, as `key/4hJ2kQ9xT0aB`.
    #[must_use]
    pub fn new(actor: &Actor, action: &'static str, target: impl Into<String>) -> Self {
        Self {
            actor: actor.clone(),
            action,
            target: target.into(),
            before: None,
            after: None,
            code: None,
        }
    }

    /// The target before, as an object.
    #[must_use]
    pub fn before(self, before: Value) -> Self {
        Self {
            before: Some(before),
            ..self
        }
    }

    /// The target after, or of a refused action what was wanted, as an object.
    #[must_use]
    pub fn after(self, after: Value) -> Self {
        Self {
            after: Some(after),
            ..self
        }
    }

    /// It was not done; `code` is that of the answer.
    #[must_use]
    pub fn refused(self, code: impl Into<String>) -> Self {
        Self {
            code: Some(code.into()),
            ..self
        }
    }

    fn into_content(self, audit_id: i64, at: Timestamp, previous_hash: AuditHash) -> AuditContent {
        let text = |text: Option<String>| text.map(|text| storable(&text));
        let (key_id, producer) = self
            .actor
            .key
            .map(|key| (key.key_id, key.producer.0))
            .unzip();
        AuditContent {
            audit_id,
            at,
            actor: storable(&self.actor.name),
            producer,
            key_id,
            action: self.action.to_owned(),
            target: storable(&self.target),
            before: self.before.map(storable_json),
            after: self.after.map(storable_json),
            reason: text(self.actor.reason),
            request_id: text(self.actor.request_id),
            result: if self.code.is_some() {
                "refused"
            } else {
                "done"
            }
            .to_owned(),
            code: text(self.code),
            previous_hash,
        }
    }
}

/// Appends an entry within a transaction, as the last thing before its commit: whoever appends next waits for that, and a
/// lock that is taken after this one could wait for him.
pub(crate) async fn append(
    tx: &mut PgConnection,
    entry: &AuditEntry,
) -> Result<AuditRecord, StoreError> {
    let end = sqlx::query!(r#"select last_id, last_hash, at as "at!" from lock_audit()"#)
        .fetch_one(&mut *tx)
        .await?;
    let last_id = end.last_id.unwrap_or_default();
    let last_hash = match end.last_hash {
        Some(cell) => AuditHash::new(Row::new("audit", &last_id).bytes("hash", &cell)?),
        None => AuditHash::NONE,
    };
    let content = entry.clone().into_content(last_id + 1, end.at, last_hash);
    let hash = content.hash();
    sqlx::query!(
        "insert into audit (audit_id, at, actor, producer, key_id, action, target, before, after,
                            reason, request_id, result, code, previous_hash, hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        content.audit_id,
        content.at,
        content.actor,
        content.producer,
        content.key_id,
        content.action,
        content.target,
        content.before,
        content.after,
        content.reason,
        content.request_id,
        content.result,
        content.code,
        content.previous_hash.bytes(),
        hash.bytes(),
    )
    .execute(tx)
    .await?;
    Ok(AuditRecord { content, hash })
}

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
    /// Appends an entry about what was done, or refused, elsewhere.
    ///
    /// # Errors
    /// Any fault of the database. After one the entry may be there all the same.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<AuditRecord, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            let record = append(&mut tx, entry).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(record)
        })
        .await
    }

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

/// Postgres keeps every character in a text but NUL.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// As [`storable`]; and a number that the canonical form would round becomes a text, which it leaves alone.
fn storable_json(value: Value) -> Value {
    match value {
        Value::Number(number) if !is_exact_number(&number) => Value::String(number.to_string()),
        Value::String(text) => Value::String(storable(&text)),
        Value::Array(items) => items.into_iter().map(storable_json).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (storable(&name), storable_json(value)))
            .collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}
