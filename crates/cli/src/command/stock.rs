//! `orderly stock`: what is on the shelves.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    client::{Answer, Call, Client, ClientFlags, segment},
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
  orderly stock show
  orderly stock show MUG-RED LAMP9
  orderly stock set MUG-RED 120
  orderly stock adjust MUG-RED -3 --key stocktaking-7/MUG-RED"
)]
pub(crate) struct StockArgs {
    #[command(subcommand)]
    action: StockAction,
}

#[derive(Debug, clap::Subcommand)]
enum StockAction {
    Show(ShowArgs),
    Set(SetArgs),
    Adjust(AdjustArgs),
}

/// Show the stock of SKUs, or all stock
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly stock show
  orderly stock show MUG-RED LAMP9 -o json")]
struct ShowArgs {
    /// SKUs to show; without one, all
    skus: Vec<String>,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Say how many pieces are there
///
/// Exits with 6 if orders hold more than that.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly stock set MUG-RED 120")]
struct SetArgs {
    /// SKU to set
    sku: String,
    /// Pieces in the house, those promised to orders included
    #[arg(value_name = "PIECES")]
    on_hand: i64,
    /// Idempotency key: the same key again changes nothing [default: a new one]
    #[arg(long)]
    key: Option<String>,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Add pieces, or take some away
///
/// Exits with 6 if orders hold more than would be left.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    before_help = "\
Examples:
  orderly stock adjust MUG-RED 24
  orderly stock adjust MUG-RED -3 --key stocktaking-7/MUG-RED"
)]
struct AdjustArgs {
    /// SKU to change
    sku: String,
    /// Pieces to add; with a minus sign, to take away
    #[arg(value_name = "PIECES")]
    delta: i64,
    /// Idempotency key: the same key again changes nothing [default: a new one]
    #[arg(long)]
    key: Option<String>,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: ClientFlags,
}

/// As for commands.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: StockArgs, format: Format) -> anyhow::Result<Exit> {
    let rows = match args.action {
        StockAction::Show(args) => {
            let client = args.connection.client()?;
            if args.skus.is_empty() {
                all(&client).await?
            } else {
                some(&client, &args.skus).await?
            }
        }
        StockAction::Set(args) => {
            let client = args.connection.client()?;
            let body = body("on_hand", args.on_hand, args.reason);
            let path = format!("/v1/stock/{}", segment(&args.sku));
            vec![write(&client, Call::put(&path, &body), args.key).await?]
        }
        StockAction::Adjust(args) => {
            let client = args.connection.client()?;
            let body = body("delta", args.delta, args.reason);
            let path = format!("/v1/stock/{}/adjustments", segment(&args.sku));
            vec![write(&client, Call::post(&path, &body), args.key).await?]
        }
    };
    format.rows(&rows, ["sku", "on hand", "reserved", "available"], |row| {
        ["sku", "on_hand", "reserved", "available"]
            .map(|name| row.get(name).map(plain).unwrap_or_default())
    })?;
    Ok(Exit::Ok)
}

fn body(name: &str, number: i64, reason: Option<String>) -> Value {
    let mut body = json!({ name: number });
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    body
}

async fn some(client: &Client, skus: &[String]) -> anyhow::Result<Vec<Value>> {
    let mut rows = Vec::new();
    for sku in skus {
        let path = format!("/v1/stock/{}", segment(sku));
        rows.push(client.fetch(&Call::get(&path)).await?);
    }
    Ok(rows)
}

/// Every page.
async fn all(client: &Client) -> anyhow::Result<Vec<Value>> {
    let mut rows = Vec::new();
    let mut next = Some("/v1/stock?limit=1000".to_owned());
    while let Some(path) = next {
        let mut page = client.fetch(&Call::get(&path)).await?;
        if let Some(Value::Array(read)) = page.get_mut("stock").map(Value::take) {
            rows.extend(read);
        }
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
    }
    Ok(rows)
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
