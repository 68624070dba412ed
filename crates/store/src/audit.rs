//! The audit: who did what, as a chain of entries that only grows.
//!
//! An action whose effect is in Postgres appends its entry in the transaction of the effect ([`append`], its last statement).
//! One whose effect is elsewhere appends after it, with [`Store::audit`]. An action that finds nothing to do leaves none.
//! What an entry's hash covers is said by [`orderly_protocol::audit`]; how the chain is read, by [`read`].

use orderly_domain::ProducerId;
use orderly_protocol::Timestamp;
use orderly_protocol::audit::{AuditContent, AuditHash, AuditRecord, is_exact_number};
use serde_json::Value;
use sqlx::PgConnection;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Store, StoreError};

mod read;

pub use read::{AuditFilter, AuditPage, AuditPlace};

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
