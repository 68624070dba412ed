//! `orderly dead`: what could not be read, and what becomes of it.

use serde_json::{Value, json};

use super::{commands, filter};
use crate::{
    client::{Call, Client, ClientFlags, query},
    exit::{Exit, UsageError},
    output::{self, Format, plain},
};
use uuid::Uuid;

/// Look at dead letters, and repair, retry or discard them
///
/// A dead letter is what could not be read, or names no order. It stays until somebody resolves it, and its bytes stay after that.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly dead list
  orderly dead show 7
  orderly dead repair 7 --order $ORDER --type cancel --data '{\"reason\":\"lost\"}' --reason 'as the shop says'
  orderly dead discard 7 --reason 'a test that went astray'"
)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    action: DeadAction,
}

#[derive(Debug, clap::Subcommand)]
enum DeadAction {
    List(ListArgs),
    Show(ShowArgs),
    Retry(RetryArgs),
    Repair(RepairArgs),
    Discard(DiscardArgs),
}

/// List dead letters, newest first
///
/// Needs the scope ops:read.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly dead list
  orderly dead list --state all -o jsonl | jq -r .detail | sort | uniq -c")]
struct ListArgs {
    /// open, resolved or all
    #[arg(long, value_name = "STATE", default_value = "open", value_parser = ["open", "resolved", "all"], hide_possible_values = true)]
    state: String,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Show one with its headers and its bytes
///
/// Needs the scope ops:read.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly dead show 7
  orderly dead show 7 -o json | jq -r .body_base64 | base64 --decode | hexdump -C")]
struct ShowArgs {
    /// Its id
    id: u64,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Send it again as it is, after an upgrade to a version that can read it
///
/// Exits with 6 if this version cannot read it either, or it is resolved. Needs the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly dead retry 7 --dry-run")]
struct RetryArgs {
    /// Its id
    id: u64,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
    /// Say what would be sent, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Send another command for it
///
/// The id of the command follows from the dead letter, so that repairing it twice has one effect. Exits with 6 if it is resolved.
/// Needs the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly dead repair 7 --order $ORDER --type cancel --data '{\"reason\":\"lost\"}' --reason 'as the shop says'
  orderly dead repair 7 --envelope @repaired.json --reason 'a letter was missing' --dry-run")]
struct RepairArgs {
    /// Its id
    id: u64,
    /// Order that the command is for
    #[arg(long, value_name = "ORDER_ID", value_parser = filter::order_id, requires = "action", required_unless_present = "envelope")]
    order: Option<Uuid>,
    /// place, amend, set_address, annotate, hold, release, pay, ship, deliver, cancel, refund, return
    #[arg(long = "type", value_name = "TYPE", id = "action")]
    action: Option<String>,
    /// The command's data as JSON; @FILE reads a file, - reads stdin
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// A whole envelope in their place; @FILE reads a file, - reads stdin
    #[arg(long, value_name = "JSON", conflicts_with_all = ["order", "action", "data"])]
    envelope: Option<String>,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    /// Say what would be sent, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Say that nothing will come of it; its bytes stay
///
/// Exits with 6 if it is resolved. Needs the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly dead discard 7 --reason 'a test that went astray'")]
struct DiscardArgs {
    /// Its id
    id: u64,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(crate) async fn run(args: DeadArgs, format: Format) -> anyhow::Result<Exit> {
    match args.action {
        DeadAction::List(args) => list(args, format).await,
        DeadAction::Show(args) => show(args, format).await,
        DeadAction::Retry(args) => {
            let mut body = json!({ "dry_run": args.dry_run });
            if let Some(reason) = args.reason {
                body["reason"] = reason.into();
            }
            resolve(&args.connection.client()?, args.id, "retry", &body, format).await
        }
        DeadAction::Repair(args) => {
            let command = match (&args.envelope, args.order, &args.action) {
                (Some(envelope), _, _) => commands::data(envelope)?,
                (None, Some(order), Some(action)) => {
                    let data = commands::data(&args.data)?;
                    json!({ "order_id": order, "type": action, "data": data })
                }
                _ => return Err(UsageError("--order and --type, or --envelope".to_owned()).into()),
            };
            let body =
                json!({ "command": command, "reason": args.reason, "dry_run": args.dry_run });
            resolve(&args.connection.client()?, args.id, "edit", &body, format).await
        }
        DeadAction::Discard(args) => {
            let body = json!({ "reason": args.reason, "dry_run": args.dry_run });
            resolve(
                &args.connection.client()?,
                args.id,
                "discard",
                &body,
                format,
            )
            .await
        }
    }
}

async fn list(args: ListArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let place = cursor.map(|cursor: i64| ("cursor", cursor.to_string()));
        let asked = [("state", args.state.clone()), ("limit", "500".to_owned())];
        let path = format!("/v1/dead-letters{}", query(asked.into_iter().chain(place)));
        let mut page = client.fetch(&Call::get(&path)).await?;
        if let Some(Value::Array(read)) = page.get_mut("dead_letters").map(Value::take) {
            rows.extend(read);
        }
        cursor = page["next_cursor"].as_i64();
        if cursor.is_none() {
            break;
        }
    }
    format.rows(
        &rows,
        ["id", "state", "received", "shard", "bytes", "detail"],
        |row| {
            [
                "dead_letter_id",
                "state",
                "received_at",
                "shard",
                "bytes",
                "detail",
            ]
            .map(|name| plain(&row[name]))
        },
    )?;
    Ok(Exit::Ok)
}

async fn show(args: ShowArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let path = format!("/v1/dead-letters/{}", args.id);
    let letter = client.fetch(&Call::get(&path)).await?;
    format.record(&letter, || {
        let mut facts = facts(&letter);
        facts.push(("headers", plain(&letter["headers"])));
        match letter["body_text"].as_str() {
            Some(text) => facts.push(("body", one_line(text))),
            None => facts.push(("body (base64)", plain(&letter["body_base64"]))),
        }
        output::facts(facts)
    })?;
    Ok(Exit::Ok)
}

async fn resolve(
    client: &Client,
    id: u64,
    action: &str,
    body: &Value,
    format: Format,
) -> anyhow::Result<Exit> {
    let path = format!("/v1/dead-letters/{id}/{action}");
    let done = client.fetch(&Call::post(&path, body)).await?;
    format.record(&done, || {
        let mut facts = facts(&done["dead_letter"]);
        for command in done["commands"].as_array().into_iter().flatten() {
            let text = |name: &str| plain(&command[name]);
            facts.push((
                "command",
                format!(
                    "{} {} of order {}",
                    text("command_id"),
                    text("type"),
                    text("order_id")
                ),
            ));
        }
        output::facts(facts)
    })?;
    if done["dry_run"] == true {
        eprintln!("a dry run: nothing was done");
    }
    Ok(Exit::Ok)
}

/// Bytes of strangers: what would move the cursor is shown escaped.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// What is known of a dead letter.
fn facts(letter: &Value) -> Vec<(&'static str, String)> {
    let named = [
        ("id", "dead_letter_id"),
        ("state", "state"),
        ("reason", "reason"),
        ("detail", "detail"),
        ("shard", "shard"),
        ("received", "received_at"),
        ("arrival", "arrival"),
        ("resolved", "resolved_at"),
        ("by", "resolved_by"),
        ("because", "resolve_reason"),
    ];
    let facts = named.map(|(name, field)| (name, plain(&letter[field])));
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}
