//! The API key of one run of `orderly dev`.

use orderly_protocol::api_key::Scope;
use orderly_store::Store;
use uuid::{Uuid, uuid};

use crate::{command::keys, operator::operator};

/// One producer for all runs: idempotency keys go on meaning the same when the data is kept.
const PRODUCER: Uuid = uuid!("0b5e21d6-6a5f-5d5e-9b7c-5f1f3c0d7e42");

/// Tells its keys from those of real systems.
pub(super) const ENVIRONMENT: &str = "dev";

/// A key that may do everything, for as long as this process runs.
pub(super) struct DevKey(keys::MintedKey);

impl DevKey {
    pub(super) async fn mint(store: &Store) -> anyhow::Result<Self> {
        keys::mint(
            store,
            ENVIRONMENT,
            "orderly dev",
            PRODUCER,
            Scope::ALL.to_vec(),
            &operator(),
        )
        .await
        .map(Self)
    }

    pub(super) fn token(&self) -> &str {
        &self.0.key
    }

    /// Whether it succeeds or not, the process ends: a database that is away has nobody to accept the key.
    pub(super) async fn revoke(&self, store: &Store) {
        if let Err(error) = store.revoke_key(&self.0.key_id, &operator()).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the key was not revoked"
            );
        }
    }
}
