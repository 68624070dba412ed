//! `orderly orders`: what an order is now and what happened to it.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    client::{Call, Client, ClientFlags},
    exit::Exit,
    output::{self, Format, plain},
};

/// Look at orders
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct OrdersArgs {
    #[command(subcommand)]
    action: OrdersAction,
}

#[derive(Debug, clap::Subcommand)]
enum OrdersAction {
    Show(ShowArgs),
}

/// Show one order: where it stands, its lines, its money, what can be done with it
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly orders show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f
  orderly orders show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f --events
  orderly orders show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f -o json | jq .allowed_commands")]
struct ShowArgs {
    order_id: Uuid,
    /// Show what happened to it instead
    #[arg(long)]
    events: bool,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(crate) async fn run(args: OrdersArgs, format: Format) -> anyhow::Result<Exit> {
    let OrdersAction::Show(args) = args.action;
    let client = args.connection.client()?;
    if args.events {
        let events = all_events(&client, args.order_id).await?;
        format.rows(
            &events,
            ["version", "event", "time", "status", "command"],
            event_cells,
        )?;
    } else {
        let order = client
            .fetch(&Call::get(&format!("/v1/orders/{}", args.order_id)))
            .await?;
        format.record(&order, || order_table(&order))?;
    }
    Ok(Exit::Ok)
}

/// Every page of its history.
async fn all_events(client: &Client, order_id: Uuid) -> anyhow::Result<Vec<Value>> {
    let mut events = Vec::new();
    let mut next = Some(format!("/v1/orders/{order_id}/events"));
    while let Some(path) = next {
        let mut page = client.fetch(&Call::get(&path)).await?;
        if let Some(Value::Array(read)) = page.get_mut("events").map(Value::take) {
            events.extend(read);
        }
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
    }
    Ok(events)
}

fn event_cells(event: &Value) -> [String; 5] {
    [
        "/data/version",
        "/type",
        "/time",
        "/data/status",
        "/causationid",
    ]
    .map(|pointer| event.pointer(pointer).map(plain).unwrap_or_default())
}

fn order_table(order: &Value) -> String {
    let text = |name: &str| order.get(name).map(plain).unwrap_or_default();
    let money = |name: &str| order.get(name).map(amount).unwrap_or_default();
    let held = if order.get("held").and_then(Value::as_bool) == Some(true) {
        ", held"
    } else {
        ""
    };
    let allowed: Vec<String> = order
        .get("allowed_commands")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(plain)
        .collect();
    let facts = [
        ("order", text("order_id")),
        ("status", format!("{}{held}", text("status"))),
        ("version", text("version")),
        ("customer", text("customer_id")),
        ("total", money("total")),
        ("captured", money("captured")),
        ("refunded", money("refunded")),
        ("placed", text("created_at")),
        ("changed", text("updated_at")),
        ("allowed", allowed.join(", ")),
        ("waiting", text("waiting")),
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

/// `{"amount_minor": 1099, "currency": "EUR"}` → `1099 EUR minor`: how many digits follow the point is the currency's
/// affair, and a figure that is wrong by a hundred is worse than one that is plain.
fn amount(money: &Value) -> String {
    let text = |name: &str| money.get(name).map(plain).unwrap_or_default();
    format!("{} {} minor", text("amount_minor"), text("currency"))
}
