//! Brings the schema up to date. The migrations are part of the binary.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;

use crate::{Store, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Building an index over years of events takes minutes; longer is stuck.
const STATEMENT_TIMEOUT_MS: &str = "1800000";

/// Waits for another process that migrates, and for batches in flight; not for a forgotten session.
const LOCK_TIMEOUT_MS: &str = "60000";

/// A bound for all of it, somewhat above the limit of one statement.
const MIGRATE_TIMEOUT: Duration = Duration::from_mins(45);

impl Store {
    /// Applies the migrations that are missing, each in a transaction, on a connection of its own. Several processes may
    /// call it at once: an advisory lock lets one at a time through. Returns the versions that this call applied.
    ///
    /// # Errors
    /// Any fault of the database, and a schema that was migrated by a newer or changed version.
    pub async fn migrate(&self) -> Result<Vec<i64>, StoreError> {
        let session = self.session().as_ref().clone().options([
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
            ("lock_timeout", LOCK_TIMEOUT_MS),
        ]);
        let migrate = async {
            let mut connection = session.connect().await?;
            // The migrator's own lock, which it takes once more: what it finds applied then is not another process's doing.
            connection.lock().await?;
            let before = applied(&mut connection).await?;
            MIGRATIONS.run(&mut connection).await?;
            let mut after = applied(&mut connection).await?;
            connection.close().await?;
            after.retain(|version| !before.contains(version));
            Ok(after)
        };
        timeout(MIGRATE_TIMEOUT, migrate)
            .await
            .unwrap_or(Err(StoreError::TimedOut {
                after: MIGRATE_TIMEOUT,
            }))
    }
}

/// Every migration of this program, and the checksum of its text.
pub(crate) fn known() -> BTreeMap<i64, Vec<u8>> {
    let all = MIGRATIONS.iter();
    all.map(|it| (it.version, it.checksum.to_vec())).collect()
}

/// Where the migrator notes what it applied.
pub(crate) fn table() -> &'static str {
    &MIGRATIONS.table_name
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
    let table = &MIGRATIONS.table_name;
    connection.ensure_migrations_table(table).await?;
    let applied = connection.list_applied_migrations(table).await?;
    Ok(applied.into_iter().map(|it| it.version).collect())
}
