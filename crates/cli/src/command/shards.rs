//! `orderly shards`: who owns what, and what waits.

use serde_json::Value;

use crate::{
    client::{Call, ClientFlags},
    exit::Exit,
    output::{Format, age, plain},
};

/// Show the shards
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly shards list
  orderly shards list -o json"
)]
pub(crate) struct ShardsArgs {
    #[command(subcommand)]
    action: ShardsAction,
}

#[derive(Debug, clap::Subcommand)]
enum ShardsAction {
    List(ListArgs),
}

/// List the shards: owner, standby, epoch, age of the ownership, and what waits in the queue
///
/// owned: its owner is alive. ready: somebody consumes it and will own it with the next command. unserved: nobody consumes it,
/// and commands wait.
///
/// Needs the scope ops:read.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly shards list
  orderly shards list -o json | jq '.[] | select(.state != \"owned\")'
  watch orderly shards list")]
struct ListArgs {
    #[command(flatten)]
    connection: ClientFlags,
}

pub(crate) async fn run(args: ShardsArgs, format: Format) -> anyhow::Result<Exit> {
    match args.action {
        ShardsAction::List(args) => list(args, format).await,
    }
}

async fn list(args: ListArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let mut found = client.fetch(&Call::get("/v1/shards")).await?;
    let shards = rows(&mut found, "shards");
    let workers = rows(&mut found, "workers");
    let alive = workers.iter().filter(|worker| worker["alive"] == true);
    let generation = plain(&found["generation"]);
    eprintln!(
        "generation {generation}: {}, {} alive",
        counted(shards.len(), "shard"),
        counted(alive.count(), "worker")
    );
    let head = [
        "shard",
        "state",
        "owner",
        "standby",
        "epoch",
        "owned for",
        "depth",
    ];
    format.rows(&shards, head, |row| {
        let standby = row["standby"].as_array().into_iter().flatten().map(plain);
        [
            plain(&row["shard"]),
            plain(&row["state"]),
            plain(&row["owner"]),
            standby.collect::<Vec<_>>().join(" "),
            plain(&row["epoch"]),
            row["claimed_seconds"].as_u64().map(age).unwrap_or_default(),
            plain(&row["depth"]),
        ]
    })?;
    let unserved = shards.iter().filter(|row| row["state"] == "unserved");
    match unserved.count() {
        0 => {}
        unserved => eprintln!(
            "unserved: {}; start more workers (orderly worker)",
            counted(unserved, "shard")
        ),
    }
    Ok(Exit::Ok)
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn rows(found: &mut Value, name: &str) -> Vec<Value> {
    match found.get_mut(name).map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    }
}
