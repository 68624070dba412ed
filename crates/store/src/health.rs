//! Whether the database keeps what Orderly rests on. Reads only; what to make of it is the caller's.

use std::collections::BTreeMap;

use sqlx::Row as _;

use crate::migrate;
use crate::store::bounded;
use crate::{Store, StoreError};

/// What the database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseHealth {
    /// As `server_version_num` has it: 150008 is 15.8.
    pub version: i32,
    /// Whether a commit reaches the disk before it is answered: `fsync`, `full_page_writes`, and `synchronous_commit` as sessions of this
    /// user have it. Each `on` or `off`; the last may also be a word that says more.
    pub durability: BTreeMap<String, String>,
    /// Whether it only follows another server, and takes no writes.
    pub is_standby: bool,
    /// Whether this user may change or remove what only grows: as a superuser, or as the owner of the audit.
    pub may_rewrite_audit: bool,
}

/// How the schema compares with the one that this program was built for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaDifference {
    /// Migrations that have not been applied.
    pub missing: Vec<i64>,
    /// Migrations that are not part of this program: a newer one applied them.
    pub unknown: Vec<i64>,
    /// Migrations that were applied with another text.
    pub changed: Vec<i64>,
}

impl Store {
    /// What the database says of itself.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn database_health(&self) -> Result<DatabaseHealth, StoreError> {
        let row = bounded(
            sqlx::query!(
                r#"select current_setting('server_version_num')::integer as "version!",
                          current_setting('fsync') as "fsync!",
                          current_setting('full_page_writes') as "full_page_writes!",
                          current_setting('synchronous_commit') as "synchronous_commit!",
                          pg_is_in_recovery() as "is_standby!",
                          (select rolsuper from pg_roles where rolname = current_user)
                          or exists (select from pg_class
                                     where oid = to_regclass('audit')
                                       and pg_has_role(current_user, relowner, 'usage'))
                          as "may_rewrite_audit!""#,
            )
            .fetch_one(self.pool()),
        )
        .await?;
        let durability = [
            ("fsync", row.fsync),
            ("full_page_writes", row.full_page_writes),
            ("synchronous_commit", row.synchronous_commit),
        ];
        let durability = durability.map(|(name, value)| (name.to_owned(), value));
        Ok(DatabaseHealth {
            version: row.version,
            durability: durability.into(),
            is_standby: row.is_standby,
            may_rewrite_audit: row.may_rewrite_audit,
        })
    }

    /// How the schema compares with this program's. An empty database lacks every migration.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn schema_difference(&self) -> Result<SchemaDifference, StoreError> {
        let mut known: BTreeMap<i64, Vec<u8>> = migrate::known();
        let mut difference = SchemaDifference::default();
        for (version, checksum) in self.applied_migrations().await? {
            match known.remove(&version) {
                None => difference.unknown.push(version),
                Some(text) if text != checksum => difference.changed.push(version),
                Some(_) => {}
            }
        }
        difference.missing = known.into_keys().collect();
        Ok(difference)
    }

    async fn applied_migrations(&self) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        bounded(async {
            // Not checked when built: the table is the migrator's, and may not be there.
            let table: Option<String> = sqlx::query("select to_regclass($1)::text")
                .bind(migrate::table())
                .fetch_one(self.pool())
                .await?
                .try_get(0)?;
            if table.is_none() {
                return Ok(Vec::new());
            }
            let rows =
                sqlx::query("select version, checksum from _sqlx_migrations order by version")
                    .fetch_all(self.pool())
                    .await?;
            rows.iter()
                .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                .collect::<Result<_, sqlx::Error>>()
        })
        .await
    }
}
