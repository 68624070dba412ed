//! `orderly shards`: who owns what, and what waits; another number of shards; pauses; workers that are drained.

mod drain;
pub(crate) mod pause;
mod resize;

use serde_json::Value;

use crate::{
    client::{Call, ClientFlags},
    exit::Exit,
    output::{Format, age, plain},
};

/// Show the shards, change their number, pause some, move them off a worker
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly shards list
  orderly shards plan 24
  orderly shards resize 24 --reason 'more workers for the sale'
  orderly shards pause 3 --reason 'looking at an order' --expires-in 10m
  orderly shards drain worker.vm.11609.313d531f --reason 'an upgrade'"
)]
pub(crate) struct ShardsArgs {
    #[command(subcommand)]
    action: ShardsAction,
}

#[derive(Debug, clap::Subcommand)]
enum ShardsAction {
    List(ListArgs),
    Plan(resize::PlanArgs),
    Resize(resize::ResizeArgs),
    Pause(pause::PauseShardArgs),
    Resume(pause::ResumeShardArgs),
    Drain(drain::DrainArgs),
}

/// List the shards: owner, standby, epoch, age of the ownership, and what waits in the queue
///
/// owned: its owner is alive. ready: somebody consumes it and will own it with the next command. unserved: nobody consumes it,
/// and commands wait. paused: nobody may. waiting: a resize is under way, and the shards before it are not drained. drained: it
/// is one of those before, and has nothing left.
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
        ShardsAction::Plan(args) => resize::plan(args, format).await,
        ShardsAction::Resize(args) => resize::resize(args, format).await,
        ShardsAction::Pause(args) => pause::pause_shard(args, format).await,
        ShardsAction::Resume(args) => pause::resume_shard(args, format).await,
        ShardsAction::Drain(args) => drain::drain(args, format).await,
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
    for pause in rows(&mut found, "pauses") {
        eprintln!(
            "paused: {}, by {}, until {}: {}",
            pause::which(&pause),
            plain(&pause["paused_by"]),
            pause::until(&pause),
            plain(&pause["reason"])
        );
    }
    for worker in &workers {
        let draining = &worker["draining"];
        if draining.is_object() {
            eprintln!(
                "drained: {}, by {}, which consumes {} now: {}",
                plain(&worker["worker"]),
                plain(&draining["drained_by"]),
                counted(worker["shards"].as_array().map_or(0, Vec::len), "shard"),
                plain(&draining["reason"])
            );
        }
    }
    if let Some(step) = found["resize"]["step"].as_str() {
        let to = plain(&found["resize"]["to"]);
        eprintln!("a resize to {to} shards is under way: {step}");
    }
    let unserved = shards.iter().filter(|row| row["state"] == "unserved");
    match unserved.count() {
        0 => {}
        unserved => eprintln!(
            "unserved: {}; if it stays so for seconds, start more workers (orderly worker)",
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
