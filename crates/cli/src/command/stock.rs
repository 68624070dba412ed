//! `orderly stock`: what is on the shelves.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    client::{Answer, Call, Client, ClientFlags},
    exit::Exit,
    output::{Format, plain},
};

/// Show or change stock
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly stock show MUG-RED LAMP9
  orderly stock set MUG-RED 120
  orderly stock adjust MUG-RED -3 --key stocktaking-7/MUG-RED"
)]
pub(crate) struct StockArgs {
    #[command(subcommand)]
    action: StockAction,
    #[command(flatten)]
    connection: ClientFlags,
}

#[derive(Debug, clap::Subcommand)]
enum StockAction {
    /// Show SKUs
    Show {
        #[arg(required = true)]
        skus: Vec<String>,
    },
    /// Say how many pieces are there
    Set {
        sku: String,
        on_hand: i64,
        /// Idempotency key [default: a new one]
        #[arg(long)]
        key: Option<String>,
    },
    /// Add pieces, or take some away
    #[command(allow_negative_numbers = true)]
    Adjust {
        sku: String,
        delta: i64,
        /// Idempotency key: the same key again changes nothing [default: a new one]
        #[arg(long)]
        key: Option<String>,
    },
}

/// As for commands.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: StockArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let rows = match args.action {
        StockAction::Show { skus } => {
            let mut rows = Vec::new();
            for sku in skus {
                let path = format!("/v1/stock/{sku}");
                rows.push(client.fetch(&Call::get(&path)).await.with_context(|| sku)?);
            }
            rows
        }
        StockAction::Set { sku, on_hand, key } => {
            let (path, body) = (format!("/v1/stock/{sku}"), json!({ "on_hand": on_hand }));
            vec![write(&client, Call::put(&path, &body), key).await?]
        }
        StockAction::Adjust { sku, delta, key } => {
            let (path, body) = (
                format!("/v1/stock/{sku}/adjustments"),
                json!({ "delta": delta }),
            );
            vec![write(&client, Call::post(&path, &body), key).await?]
        }
    };
    format.rows(&rows, ["sku", "on hand", "reserved", "available"], |row| {
        ["sku", "on_hand", "reserved", "available"]
            .map(|name| row.get(name).map(plain).unwrap_or_default())
    })?;
    Ok(Exit::Ok)
}

async fn write(client: &Client, call: Call<'_>, key: Option<String>) -> anyhow::Result<Value> {
    let key = key.unwrap_or_else(|| Uuid::now_v7().to_string());
    let answer = client
        .send_patiently(&call.key(&key), PATIENCE, &CancellationToken::new())
        .await;
    let answer = answer
        .and_then(Answer::success)
        .with_context(|| format!("write under key {key}"))?;
    if answer.replayed {
        eprintln!("written before; nothing was done again");
    }
    Ok(answer.body)
}
