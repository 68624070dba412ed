//! `orderly lanes list`: every order that waits.

use serde_json::Value;

use crate::{
    client::{Call, ClientFlags, segment},
    exit::Exit,
    output::{Format, age, plain},
};

/// List the orders that wait: why, behind what, since when, paused by whom
///
/// Lanes with the same fingerprint failed alike, and can be acted on together.
///
/// Needs the scope ops:read.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly lanes list
  orderly lanes list --fingerprint 2f1c9b0a77d3e4f5
  orderly lanes list -o jsonl | jq -r .fingerprint | sort | uniq -c")]
pub(super) struct ListArgs {
    /// Only those that failed so
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(super) async fn run(args: ListArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let mut lanes = Vec::new();
    let first = match &args.fingerprint {
        None => "/v1/lanes?limit=1000".to_owned(),
        Some(wanted) => format!("/v1/lanes?limit=1000&fingerprint={}", segment(wanted)),
    };
    let mut next = Some(first);
    while let Some(path) = next {
        let mut page = client.fetch(&Call::get(&path)).await?;
        if let Some(Value::Array(read)) = page.get_mut("lanes").map(Value::take) {
            lanes.extend(read);
        }
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
    }
    let head = [
        "order",
        "reason",
        "type",
        "commands",
        "for",
        "paused by",
        "fingerprint",
    ];
    format.rows(&lanes, head, |lane| {
        let text = |pointer: &str| lane.pointer(pointer).map(plain).unwrap_or_default();
        [
            text("/order_id"),
            text("/reason"),
            text("/head/type"),
            text("/entries"),
            lane["parked_seconds"].as_u64().map(age).unwrap_or_default(),
            text("/paused/by"),
            text("/fingerprint"),
        ]
    })?;
    Ok(Exit::Ok)
}
