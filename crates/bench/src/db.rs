//! Connections to Postgres by a driver of our own: this crate measures the store and so does not use it.

use anyhow::{Context, Result};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

/// One parameter of a statement. Pipelined calls outlive the expression that makes them, so their parameters need names.
pub(crate) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// Planner settings of the worker's sessions, so that every contestant has index plans from the first statement on.
const INDEX_PLANS: &str = "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set jit = off";

/// Connects; the connection ends with the client.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("connect to Postgres")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("a connection to Postgres ended: {error}");
        }
    });
    Ok(client)
}

/// As [`connect`], for what is measured.
pub(crate) async fn connect_measured(url: &str) -> Result<Client> {
    let client = connect(url).await?;
    client.batch_execute(INDEX_PLANS).await?;
    Ok(client)
}
