//! `orderly commands`: send one command or many, or see what became of one.

mod batch;

use std::{io, time::Duration};

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::filter;
use crate::{
    client::{Call, ClientFlags, segment},
    exit::{Exit, UsageError},
    output::{self, Format, plain},
};

/// Send commands and see what became of them
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly commands send $ORDER pay --data '{\"method\":\"card\"}'
  orderly commands batch commands.ndjson
  orderly commands show 5d0c2d5e-6f1a-5b7c-8d9e-0f1a2b3c4d5e"
)]
pub(crate) struct CommandsArgs {
    #[command(subcommand)]
    action: CommandsAction,
}

#[derive(Debug, clap::Subcommand)]
enum CommandsAction {
    Send(SendArgs),
    Batch(batch::BatchArgs),
    Show(ShowArgs),
}

/// Send one command to an order and wait for its outcome
///
/// Exits with 6 if the command was rejected, and with 3 if it was accepted and had no outcome when the wait ended: the same
/// command under the same key asks on.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly commands send new place --data '{\"customer_id\":\"c-1\",\"currency\":\"EUR\",
      \"lines\":[{\"sku\":\"MUG-RED\",\"quantity\":2,\"unit_price_minor\":1250}]}'
  orderly commands send $ORDER pay --data '{\"method\":\"card\"}'
  orderly commands send $ORDER cancel --data @cancel.json --if-version 3")]
struct SendArgs {
    /// Id of the order; new lets the server make one
    #[arg(value_name = "ORDER_ID|new", value_parser = order)]
    order: Order,
    /// place, amend, set_address, annotate, hold, release, pay, ship, deliver, cancel, refund, return
    #[arg(value_name = "TYPE")]
    action: String,
    /// The command's data as JSON; @FILE reads a file, - reads stdin
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// Idempotency key: the same key again is the same command [default: a new one]
    #[arg(long)]
    key: Option<String>,
    /// Only if the order is at this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// Seconds to wait for the outcome; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=30))]
    wait: u32,
    #[command(flatten)]
    connection: ClientFlags,
}

/// The order that a command is for.
#[derive(Clone, Copy, Debug)]
enum Order {
    New,
    Id(Uuid),
}

fn order(text: &str) -> Result<Order, &'static str> {
    match text {
        "new" => Ok(Order::New),
        id => filter::order_id(id).map(Order::Id),
    }
}

/// Show what became of a command
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly commands show 5d0c2d5e-6f1a-5b7c-8d9e-0f1a2b3c4d5e
  orderly commands show '/v1/commands/5d0c…?receipt=…'   as an answer gave it; also while it is queued")]
struct ShowArgs {
    /// Its id, or the Location that its answer gave
    command: String,
    #[command(flatten)]
    connection: ClientFlags,
}

/// How long a server may ask for patience before this says so: somebody is waiting at a terminal.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: CommandsArgs, format: Format) -> anyhow::Result<Exit> {
    match args.action {
        CommandsAction::Send(args) => send(args, format).await,
        CommandsAction::Batch(args) => batch::run(args, format).await,
        CommandsAction::Show(args) => show(args, format).await,
    }
}

async fn send(args: SendArgs, format: Format) -> anyhow::Result<Exit> {
    let data = data(&args.data)?;
    let client = args.connection.client()?;
    let key = args.key.unwrap_or_else(|| Uuid::now_v7().to_string());
    let place = args.action == "place";
    let (path, body) = match args.order {
        Order::New if place => ("/v1/orders".to_owned(), data),
        Order::New => {
            let problem = format!("{} needs an order: new is for place", args.action);
            return Err(UsageError(problem).into());
        }
        Order::Id(id) if place => (format!("/v1/orders/{id}"), data),
        Order::Id(id) => {
            let body = json!({"type": args.action, "data": data});
            (format!("/v1/orders/{id}/commands"), body)
        }
    };
    let call = match args.order {
        Order::Id(_) if place => Call::put(&path, &body),
        _ => Call::post(&path, &body),
    };
    let call = call.key(&key).wait(args.wait).if_version(args.if_version);
    let answer = client
        .send_patiently(&call, PATIENCE, &CancellationToken::new())
        .await;
    // Whatever happened, the same key finds out; nobody should have to guess it.
    let answer = answer
        .and_then(crate::client::Answer::success)
        .with_context(|| format!("send under key {key}"))?;
    if answer.replayed {
        eprintln!("this command was sent before; nothing was done again");
    }
    print(&answer.body, format)?;
    if answer.status != 202 {
        return Ok(decided(&answer.body));
    }
    let status = answer.text("/status").unwrap_or("queued");
    match &answer.location {
        Some(location) => {
            eprintln!("accepted, {status}; ask on with: orderly commands show '{location}'");
        }
        None => eprintln!("accepted, {status}"),
    }
    Ok(if args.wait == 0 {
        Exit::Ok
    } else {
        Exit::Partly
    })
}

async fn show(args: ShowArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let path = if args.command.starts_with("/v1/commands/") {
        args.command
    } else {
        format!("/v1/commands/{}", segment(&args.command))
    };
    print(&client.fetch(&Call::get(&path)).await?, format)?;
    Ok(Exit::Ok)
}

/// A replay answers with what became of the command before.
fn decided(command: &Value) -> Exit {
    match command.get("status").and_then(Value::as_str) {
        Some("rejected" | "discarded") => Exit::Conflict,
        _ => Exit::Ok,
    }
}

fn print(command: &Value, format: Format) -> std::io::Result<()> {
    let printed = format.record(command, || {
        let text = |pointer: &str| command.pointer(pointer).map(plain).unwrap_or_default();
        let fields = [
            ("command", "/command_id"),
            ("order", "/order_id"),
            ("type", "/type"),
            ("status", "/status"),
            ("version", "/version"),
            ("code", "/rejection/code"),
            ("detail", "/rejection/detail"),
            ("accepted", "/accepted_at"),
            ("decided", "/decided_at"),
        ];
        let present = fields
            .into_iter()
            .map(|(name, pointer)| (name, text(pointer)));
        output::facts(present.filter(|(_, value)| !value.is_empty()))
    });
    output::unless_closed(printed)
}

/// JSON as an argument: itself, `@FILE`, or `-` for stdin.
pub(super) fn data(text: &str) -> anyhow::Result<Value> {
    let text = match text.strip_prefix('@') {
        _ if text == "-" => file(text)?,
        Some(name) => file(name)?,
        None => text.to_owned(),
    };
    let read = serde_json::from_str(&text);
    Ok(read.map_err(|error| UsageError(format!("the data is not JSON: {error}")))?)
}

/// What stands in a file, or comes from stdin, which is `-`.
fn file(name: &str) -> Result<String, UsageError> {
    let (read, from) = match name {
        "-" => (io::read_to_string(io::stdin()), "stdin"),
        name => (std::fs::read_to_string(name), name),
    };
    read.map_err(|error| UsageError(format!("the data cannot be read from {from}: {error}")))
}
