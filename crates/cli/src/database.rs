//! Opens the database for commands that speak to it directly.

use anyhow::Context;
use orderly_store::{SessionProfile, Store, StoreOptions};

/// Commands work one statement at a time.
const MAX_CONNECTIONS: u32 = 2;

/// Connects, or says that the database is away.
pub(crate) async fn open(url: &str, name: &str) -> anyhow::Result<Store> {
    let options = StoreOptions {
        application_name: name.to_owned(),
        max_connections: MAX_CONNECTIONS,
        profile: SessionProfile::General,
    };
    Store::connect(url, &options)
        .await
        .context("connect to the database")
}
