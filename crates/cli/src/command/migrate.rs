//! `orderly migrate`: brings the schema up to date.

use anyhow::Context;
use orderly_store::{AuditEntry, Store};
use serde_json::json;

use crate::{
    config::{Settings, parse},
    database,
    exit::Exit,
    operator::operator,
};

/// Bring the database schema up to date
///
/// Safe to run at any time and from several places at once.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly migrate --database-url postgres://orderly@db/orderly")]
pub(crate) struct MigrateArgs {
    /// Database [env: ORDERLY_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

pub(crate) async fn run(args: MigrateArgs) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_command();
    let url = settings.required(
        args.database_url.as_ref(),
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let store = database::open(&settings.finish(|| url)?, "orderly migrate").await?;
    apply(&store).await?;
    eprintln!("the schema is up to date");
    Ok(Exit::Ok)
}

/// Migrates, and tells the audit what was applied. After it, since the audit may be what it makes: a process that dies in between
/// leaves the time of each migration in `_sqlx_migrations` alone.
pub(crate) async fn apply(store: &Store) -> anyhow::Result<()> {
    let applied = store.migrate().await.context("migrate")?;
    if applied.is_empty() {
        return Ok(());
    }
    let entry = AuditEntry::new(&operator(), "schema.migrate", "schema");
    let entry = entry.after(json!({ "applied": applied }));
    store.audit(&entry).await.context("tell the audit")?;
    Ok(())
}
