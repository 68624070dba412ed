//! API keys, and the keys of receipts and sessions, as stored. Comparing secrets is the protocol's, keeping them in memory
//! the HTTP side's.

use orderly_domain::ProducerId;
use orderly_protocol::api_key::Scope;
use orderly_protocol::{Timestamp, timestamp};
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::cell::Row;
use crate::store::bounded;
use crate::{Actor, AuditEntry, Store, StoreError, audit};

const CHANNEL: &str = "orderly_api_keys";

/// An API key to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiKey {
    /// The public part of the key.
    pub key_id: String,
    /// Whose it is.
    pub producer: ProducerId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
}

/// A stored API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part of the key.
    pub key_id: String,
    /// Whose it is.
    pub producer: ProducerId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// What it may do. A scope that this version does not know grants nothing here, and is left out.
    pub scopes: Vec<Scope>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub revoked_at: Option<Timestamp>,
}

struct ApiKeyCells {
    key_id: String,
    producer: Uuid,
    name: String,
    secret_hash: Vec<u8>,
    scopes: Vec<String>,
    created_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
}

impl Store {
    /// Stores an API key, with its entry in the audit.
    ///
    /// # Errors
    /// Any fault of the database; constraint `api_keys_pkey` for a key id that is taken.
    pub async fn insert_key(&self, key: &NewApiKey, actor: &Actor) -> Result<(), StoreError> {
        let scopes: Vec<String> = key
            .scopes
            .iter()
            .map(|scope| scope.as_str().to_owned())
            .collect();
        let made = json!({ "name": key.name, "producer": key.producer.0, "scopes": scopes });
        let entry = AuditEntry::new(actor, "key.create", target(&key.key_id)).after(made);
        bounded(async {
            let mut tx = self.pool().begin().await?;
            sqlx::query!(
                "insert into api_keys (key_id, producer, name, secret_hash, scopes)
                 values ($1, $2, $3, $4, $5)",
                key.key_id,
                key.producer.0,
                key.name,
                key.secret_hash.as_slice(),
                &scopes,
            )
            .execute(&mut *tx)
            .await?;
            audit::append(&mut tx, &entry).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(())
        })
        .await
    }

    /// All API keys, revoked ones too, oldest first.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let keys = bounded(
            sqlx::query_as!(
                ApiKeyCells,
                "select key_id, producer, name, secret_hash, scopes, created_at, revoked_at
                 from api_keys order by created_at, key_id",
            )
            .fetch_all(self.pool()),
        )
        .await?;
        keys.into_iter().map(ApiKey::try_from).collect()
    }

    /// All API keys that are not revoked.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn live_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let keys = bounded(
            sqlx::query_as!(
                ApiKeyCells,
                "select key_id, producer, name, secret_hash, scopes, created_at, revoked_at
                 from api_keys where revoked_at is null",
            )
            .fetch_all(self.pool()),
        )
        .await?;
        keys.into_iter().map(ApiKey::try_from).collect()
    }

    /// The API key, unless it is revoked or was never there.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn live_key(&self, key_id: &str) -> Result<Option<ApiKey>, StoreError> {
        let key = bounded(
            sqlx::query_as!(
                ApiKeyCells,
                "select key_id, producer, name, secret_hash, scopes, created_at, revoked_at
                 from api_keys where key_id = $1 and revoked_at is null",
                key_id,
            )
            .fetch_optional(self.pool()),
        )
        .await?;
        key.map(ApiKey::try_from).transpose()
    }

    /// Revokes an API key, with its entry in the audit. False when there is no such key, or it was revoked before.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn revoke_key(&self, key_id: &str, actor: &Actor) -> Result<bool, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            let revoked = sqlx::query!(
                r#"update api_keys set revoked_at = clock_timestamp()
                   where key_id = $1 and revoked_at is null
                   returning name, producer, scopes, revoked_at as "revoked_at!""#,
                key_id,
            )
            .fetch_optional(&mut *tx)
            .await?;
            let Some(key) = revoked else {
                return Ok(false);
            };
            let state = |revoked_at: Option<String>| {
                json!({
                    "name": key.name,
                    "producer": key.producer,
                    "scopes": key.scopes,
                    "revoked_at": revoked_at,
                })
            };
            let entry = AuditEntry::new(actor, "key.revoke", target(key_id))
                .before(state(None))
                .after(state(Some(timestamp::format(key.revoked_at))));
            audit::append(&mut tx, &entry).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(true)
        })
        .await
    }

    /// Marked as changed whenever an API key was added or revoked, and when that may have been missed, until `token` is
    /// cancelled. A hint: a notification can be lost with its connection, so poll as well.
    #[must_use]
    pub fn watch_keys(
        &self,
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> watch::Receiver<()> {
        let (heard, changed) = watch::channel(());
        let listener = self.clone();
        let token = token.clone();
        tracker.spawn(async move { listener.listen(CHANNEL, heard, token).await });
        changed
    }

    /// The keys of receipts: the newest, which signs, and the one before, which still verifies.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn receipt_keys(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let keys = bounded(
            sqlx::query!(
                "select receipt_key_id, secret from receipt_keys
                 order by receipt_key_id desc limit 2",
            )
            .fetch_all(self.pool()),
        )
        .await?;
        keys.iter()
            .map(|key| Row::new("receipt_keys", &key.receipt_key_id).bytes("secret", &key.secret))
            .collect()
    }

    /// The keys of sessions: the newest, which signs, and the one before, which still verifies. [`Store::watch_keys`] hears
    /// of new ones too.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn session_keys(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let keys = bounded(
            sqlx::query!(
                "select session_key_id, secret from session_keys
                 order by session_key_id desc limit 2",
            )
            .fetch_all(self.pool()),
        )
        .await?;
        keys.iter()
            .map(|key| Row::new("session_keys", &key.session_key_id).bytes("secret", &key.secret))
            .collect()
    }
}

fn target(key_id: &str) -> String {
    format!("key/{key_id}")
}

impl TryFrom<ApiKeyCells> for ApiKey {
    type Error = StoreError;

    fn try_from(cells: ApiKeyCells) -> Result<Self, StoreError> {
        let row = Row::new("api_keys", &cells.key_id);
        Ok(Self {
            producer: ProducerId(cells.producer),
            secret_hash: row.bytes("secret_hash", &cells.secret_hash)?,
            scopes: cells
                .scopes
                .iter()
                .filter_map(|scope| Scope::parse(scope))
                .collect(),
            name: cells.name,
            created_at: cells.created_at,
            revoked_at: cells.revoked_at,
            key_id: cells.key_id,
        })
    }
}
