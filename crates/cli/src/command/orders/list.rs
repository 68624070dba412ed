//! `orderly orders list`: orders, newest first.

use orderly_domain::Status;
use serde_json::Value;

use crate::{
    client::{Call, Client, ClientFlags, query},
    command::filter,
    exit::Exit,
    output::{Format, amount, plain},
};

/// List orders, newest first
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly orders list
  orderly orders list --status paid --sku MUG-RED
  orderly orders list --customer c-17 --limit 500
  orderly orders list --all -o jsonl | jq -r .order_id")]
pub(super) struct ListArgs {
    /// Only orders in this status: placed, payment_pending, paid, partially_shipped, shipped, delivered, cancelled, returned
    #[arg(long, value_parser = filter::status)]
    status: Option<Status>,
    /// Only orders of this customer
    #[arg(long, value_name = "CUSTOMER_ID")]
    customer: Option<String>,
    /// Only orders that took stock of this SKU, also if they gave it back
    #[arg(long)]
    sku: Option<String>,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// List all that there are
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    connection: ClientFlags,
}

/// The most that the server gives at once.
const PAGE: usize = 500;

pub(super) async fn run(args: ListArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let limit = if args.all {
        usize::MAX
    } else {
        args.limit as usize
    };
    let filters = [
        (
            "status",
            args.status.map(|status| status.as_str().to_owned()),
        ),
        ("customer_id", args.customer),
        ("sku", args.sku),
    ];
    let filters: Vec<_> = filters
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let mut listed = Vec::new();
    let (mut count, mut cursor) = (0, None);
    loop {
        let (orders, next) = page(&client, &filters, cursor, limit - count).await?;
        count += orders.len();
        // Lines need not wait for the pages after them.
        if format == Format::Jsonl {
            print(format, &orders)?;
        } else {
            listed.extend(orders);
        }
        cursor = next;
        if cursor.is_none() || count >= limit {
            break;
        }
    }
    if format != Format::Jsonl {
        print(format, &listed)?;
    }
    if cursor.is_some() {
        eprintln!("there may be more; --limit N lists so many, --all lists all");
    }
    Ok(Exit::Ok)
}

/// The next orders, at most `most`, and the cursor of those after them.
async fn page(
    client: &Client,
    filters: &[(&'static str, String)],
    cursor: Option<String>,
    most: usize,
) -> anyhow::Result<(Vec<Value>, Option<String>)> {
    let mut pairs = filters.to_vec();
    pairs.push(("limit", most.min(PAGE).to_string()));
    pairs.extend(cursor.map(|cursor| ("cursor", cursor)));
    let path = format!("/v1/orders{}", query(pairs));
    let mut page = client.fetch(&Call::get(&path)).await?;
    let Some(Value::Array(orders)) = page.get_mut("orders").map(Value::take) else {
        return Err(crate::client::ClientError::Unreadable.into());
    };
    let next = page.get("next_cursor").and_then(Value::as_str);
    Ok((orders, next.map(str::to_owned)))
}

fn print(format: Format, orders: &[Value]) -> std::io::Result<()> {
    let head = [
        "order", "status", "version", "customer", "total", "placed", "changed",
    ];
    format.rows(orders, head, |order| {
        let text = |name: &str| order.get(name).map(plain).unwrap_or_default();
        let total = order.get("total").map(amount).unwrap_or_default();
        [
            text("order_id"),
            filter::standing(order),
            text("version"),
            text("customer_id"),
            total,
            text("created_at"),
            text("updated_at"),
        ]
    })
}
