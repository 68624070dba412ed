//! The audit chain as others read and check it: what an entry says, and the hash that ties it to the one before.
//!
//! To check an entry without this code: take it as `GET /v1/audit` shows it, leave out `hash`, write the rest in the form of
//! RFC 8785 (every other field is there, null where there is nothing) and hash that with SHA-256. It is `hash`, and
//! `previous_hash` is the `hash` of the entry whose `audit_id` is one less. The first has `audit_id` 1 and 64 zeros there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::fingerprint::Fingerprint;
use crate::limits;
use crate::timestamp::{self, Timestamp};

/// SHA-256 of an entry. 64 lower case hex digits as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuditHash(Fingerprint);

/// The text is not 64 lower case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 lower case hex digits")]
pub struct NotAnAuditHash;

impl AuditHash {
    /// What stands before the first entry.
    pub const NONE: Self = Self::new([0; 32]);

    /// The hash of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Fingerprint(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AuditHash {
    type Err = NotAnAuditHash;

    fn from_str(text: &str) -> Result<Self, NotAnAuditHash> {
        text.parse().map(Self).map_err(|_| NotAnAuditHash)
    }
}

/// What an entry says: everything that its hash covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditContent {
    /// From 1, without a gap.
    pub audit_id: i64,
    /// The clock of Postgres, under the lock that orders the chain.
    #[serde(with = "timestamp")]
    pub at: Timestamp,
    /// Who: the name of the API key; `user@host` for a command that spoke to the database itself.
    pub actor: String,
    /// Whose key it was; nobody's for a command that spoke to the database itself.
    pub producer: Option<Uuid>,
    /// The public part of the key.
    pub key_id: Option<String>,
    /// A stable name, as `key.revoke`.
    pub action: String,
    /// What it was done to, as `key/4hJ2kQ9xT0aB`.
    pub target: String,
    /// The target before, where that says something: an object.
    pub before: Option<Value>,
    /// The target after, or what was wanted of it: an object.
    pub after: Option<Value>,
    /// Why, in the actor's own words.
    pub reason: Option<String>,
    /// The request, as its answer and the log name it.
    pub request_id: Option<String>,
    /// `done` or `refused`.
    pub result: String,
    /// Why it was refused: the `code` of the answer.
    pub code: Option<String>,
    /// The hash of the entry before.
    pub previous_hash: AuditHash,
}

/// An entry of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// What it says.
    #[serde(flatten)]
    pub content: AuditContent,
    /// What ties it into the chain.
    pub hash: AuditHash,
}

impl AuditContent {
    /// SHA-256 of its RFC 8785 form.
    #[must_use]
    pub fn hash(&self) -> AuditHash {
        let bytes = serde_json_canonicalizer::to_vec(self)
            .expect("string keys and finite numbers always have a canonical form");
        AuditHash::new(Sha256::digest(bytes).into())
    }
}

impl AuditRecord {
    /// Whether it says what its hash was made of. A number that RFC 8785 would round was never written, since two of them
    /// could have one hash.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let values = [&self.content.before, &self.content.after];
        values.into_iter().flatten().all(is_exact) && self.content.hash() == self.hash
    }
}

/// Whether every number in `value` is whole and within ±(2^53 − 1).
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => is_exact_number(number),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(fields) => fields.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Whether `number` is whole and within ±(2^53 − 1): the only numbers that an entry holds as numbers.
#[must_use]
pub fn is_exact_number(number: &serde_json::Number) -> bool {
    let exact = -limits::JSON_INTEGER..=limits::JSON_INTEGER;
    number
        .as_i64()
        .is_some_and(|number| exact.contains(&number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::uuid;

    use super::*;

    fn record() -> AuditRecord {
        let content = AuditContent {
            audit_id: 7,
            at: timestamp::parse("2026-11-23T08:30:00.000001Z").unwrap(),
            actor: "wärehouse".to_owned(),
            producer: Some(uuid!("0190a5c1-2b3c-7d4e-8f50-617283940516")),
            key_id: Some("4hJ2kQ9xT0aB".to_owned()),
            action: "stock.set".to_owned(),
            target: "stock/MUG".to_owned(),
            before: Some(json!({"on_hand": 3, "reserved": 1})),
            after: Some(json!({"on_hand": 9_007_199_254_740_991_i64, "reserved": 1})),
            reason: Some("counted \"by hand\"\n".to_owned()),
            request_id: Some("r-1".to_owned()),
            result: "done".to_owned(),
            code: None,
            previous_hash: AuditHash::new([0xab; 32]),
        };
        let hash = content.hash();
        AuditRecord { content, hash }
    }

    /// Made by Python's json and hashlib: `json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`.
    #[test]
    fn the_hash_of_an_entry_is_what_another_language_makes_of_its_json() {
        assert_eq!(
            record().hash.to_string(),
            "dbb2e790120069330a89e23d55e245cb07ef3dd278ff65c3779ecf7bea282e66"
        );
        let shown = serde_json::to_value(record()).unwrap();
        let mut content = shown.as_object().unwrap().clone();
        assert_eq!(content.len(), 15, "every column is shown");
        content.remove("hash");
        let read: AuditContent = serde_json::from_value(content.into()).unwrap();
        assert_eq!(read, record().content);
    }

    #[test]
    fn no_field_can_be_changed_without_the_hash() {
        let intact = record();
        assert!(intact.is_intact());
        let fields = serde_json::to_value(&intact.content).unwrap();
        for name in fields.as_object().unwrap().keys() {
            let mut changed = fields.clone();
            changed[name] = match &changed[name] {
                Value::Number(number) => json!(number.as_i64().unwrap() + 1),
                Value::Null => json!("x"),
                Value::Object(_) => json!({"on_hand": 4, "reserved": 1}),
                _ if name == "at" => json!("2026-11-23T08:30:00.000002Z"),
                _ if name == "producer" => json!("0190a5c1-2b3c-7d4e-8f50-617283940517"),
                _ if name == "previous_hash" => json!("ac".repeat(32)),
                text => json!(format!("{} ", text.as_str().unwrap())),
            };
            let content = serde_json::from_value(changed).unwrap();
            let changed = AuditRecord {
                content,
                hash: intact.hash,
            };
            assert!(!changed.is_intact(), "{name}");
        }
    }

    #[test]
    fn two_numbers_of_one_canonical_form_do_not_pass_for_each_other() {
        for after in [
            json!({"on_hand": 9_007_199_254_740_993_i64}),
            json!({"on_hand": 1.0}),
            json!({"lines": [{"quantity": u64::MAX}]}),
        ] {
            let mut content = record().content;
            content.after = Some(after);
            let hash = content.hash();
            assert!(!AuditRecord { content, hash }.is_intact());
        }
    }

    #[test]
    fn a_hash_is_read_in_one_spelling() {
        let hash = record().hash;
        assert_eq!(hash.to_string().parse(), Ok(hash));
        let upper = hash.to_string().to_uppercase();
        assert_eq!(upper.parse::<AuditHash>(), Err(NotAnAuditHash));
    }
}
