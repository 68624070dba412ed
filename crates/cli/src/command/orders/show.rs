//! `orderly orders show`: one order, or everything that happened to it.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    client::{Call, ClientFlags},
    command::{filter, history},
    exit::Exit,
    output::{self, Format, amount, plain},
};

/// Show one order: where it stands, its lines, its money, what can be done with it
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly orders show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f
  orderly orders show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f --events
  orderly orders show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f -o json | jq .allowed_commands")]
pub(super) struct ShowArgs {
    /// Id of the order
    #[arg(value_parser = filter::order_id)]
    order_id: Uuid,
    /// Show what happened to it instead
    #[arg(long)]
    events: bool,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(super) async fn run(args: ShowArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    if args.events {
        let mut rows = history::event_rows(format);
        for event in history::events_after(&client, args.order_id, 0).await? {
            rows.print(&event)?;
        }
        rows.finish()?;
    } else {
        let path = format!("/v1/orders/{}", args.order_id);
        let order = client.fetch(&Call::get(&path)).await?;
        format.record(&order, || order_table(&order))?;
    }
    Ok(Exit::Ok)
}

fn order_table(order: &Value) -> String {
    let text = |name: &str| order.get(name).map(plain).unwrap_or_default();
    let money = |name: &str| order.get(name).map(amount).unwrap_or_default();
    let allowed: Vec<String> = order
        .get("allowed_commands")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(plain)
        .collect();
    let facts = [
        ("order", text("order_id")),
        ("status", filter::standing(order)),
        ("version", text("version")),
        ("held for", text("hold_reason")),
        ("customer", text("customer_id")),
        ("total", money("total")),
        ("captured", money("captured")),
        ("refunded", money("refunded")),
        ("placed", text("created_at")),
        ("changed", text("updated_at")),
        ("allowed", allowed.join(", ")),
        ("waiting", waiting(order)),
    ];
    let facts = output::facts(facts.into_iter().filter(|(_, value)| !value.is_empty()));
    let lines = order
        .get("lines")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows = lines.iter().map(|line| {
        let text = |name: &str| line.get(name).map(plain).unwrap_or_default();
        let price = line.get("unit_price").map(amount).unwrap_or_default();
        [
            text("line"),
            text("sku"),
            text("quantity"),
            price,
            text("shipped"),
            text("returned"),
        ]
    });
    format!(
        "{facts}\n\n{}",
        output::table(
            ["line", "sku", "quantity", "price", "shipped", "returned"],
            rows
        )
    )
}

/// Why the order is not moving; nothing if it is.
fn waiting(order: &Value) -> String {
    let text = |name: &str| order["waiting"].get(name).map(plain).unwrap_or_default();
    if text("reason").is_empty() {
        return String::new();
    }
    let since = match text("since") {
        since if since.is_empty() => String::new(),
        since => format!(" since {since}"),
    };
    let mut waiting = format!("{}{since}: {}", text("reason"), text("detail"));
    // What its lane tells.
    if !order["waiting"]["commands"].is_null() {
        let lane = format!(" ({}); commands: {}", text("code"), text("commands"));
        waiting.push_str(&lane);
    }
    let paused = &order["waiting"]["paused"];
    if paused.is_null() {
        return waiting;
    }
    let until = match &paused["until"] {
        Value::Null => String::new(),
        until => format!(" until {}", plain(until)),
    };
    format!("{waiting}; paused by {}{until}", plain(&paused["by"]))
}
