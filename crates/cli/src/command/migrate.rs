//! `orderly migrate`: brings the schema up to date.

use anyhow::Context;

use crate::{
    config::{Settings, parse},
    database,
    exit::Exit,
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
    store.migrate().await.context("migrate")?;
    eprintln!("the schema is up to date");
    Ok(Exit::Ok)
}
