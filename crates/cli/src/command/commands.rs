//! `orderly commands`: send one command, or see what became of one.

use std::{
    io::{self, Read},
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    client::{Call, ClientFlags},
    exit::Exit,
    output::{self, Format, plain},
};

/// Send commands and see what became of them
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct CommandsArgs {
    #[command(subcommand)]
    action: CommandsAction,
}

#[derive(Debug, clap::Subcommand)]
enum CommandsAction {
    Send(SendArgs),
    Show(ShowArgs),
}

/// Send one command to an order and wait for its outcome
///
/// Exits with 6 if the command was rejected.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly commands send $ORDER place --data '{\"customer_id\":\"c-1\",\"currency\":\"EUR\",
      \"lines\":[{\"sku\":\"MUG-RED\",\"quantity\":2,\"unit_price_minor\":1250}]}'
  orderly commands send $ORDER pay --data '{\"method\":\"card\"}'
  orderly commands send $ORDER cancel --data @cancel.json --if-version 3")]
struct SendArgs {
    order_id: Uuid,
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
    /// Seconds to wait for the outcome
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=30))]
    wait: u32,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Show what became of a command
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly commands show 5d0c2d5e-6f1a-5b7c-8d9e-0f1a2b3c4d5e
  orderly commands show '/v1/commands/5d0c…?receipt=…'      the Location of an answer, also while it is queued")]
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
        CommandsAction::Show(args) => show(args, format).await,
    }
}

async fn send(args: SendArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let data = data(&args.data)?;
    let key = args.key.unwrap_or_else(|| Uuid::now_v7().to_string());
    let place = args.action == "place";
    let (path, body) = if place {
        (format!("/v1/orders/{}", args.order_id), data)
    } else {
        (
            format!("/v1/orders/{}/commands", args.order_id),
            json!({"type": args.action, "data": data}),
        )
    };
    let call = if place {
        Call::put(&path, &body)
    } else {
        Call::post(&path, &body)
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
    if let (202, Some(location)) = (answer.status, &answer.location) {
        eprintln!("accepted and not decided yet; ask on with: orderly commands show '{location}'");
    }
    print(&answer.body, format)
}

async fn show(args: ShowArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let path = if args.command.starts_with("/v1/commands/") {
        args.command
    } else {
        format!("/v1/commands/{}", args.command)
    };
    print(&client.fetch(&Call::get(&path)).await?, format)
}

fn print(command: &Value, format: Format) -> anyhow::Result<Exit> {
    format.record(command, || {
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
    })?;
    let status = command.get("status").and_then(Value::as_str);
    Ok(if matches!(status, Some("rejected" | "discarded")) {
        Exit::Conflict
    } else {
        Exit::Ok
    })
}

fn data(text: &str) -> anyhow::Result<Value> {
    let text = match text.strip_prefix('@') {
        _ if text == "-" => {
            let mut read = String::new();
            io::stdin()
                .read_to_string(&mut read)
                .context("read the data from stdin")?;
            read
        }
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("read the data from {file}"))?
        }
        None => text.to_owned(),
    };
    serde_json::from_str(&text).context("the data is not JSON")
}
