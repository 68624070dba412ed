//! `orderly shards resize` and `plan`: another number of shards.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    client::{Call, Client, ClientFlags},
    exit::Exit,
    output::{Format, Progress, facts, plain},
};

/// How often it is looked how far a resize has come.
const LOOK: Duration = Duration::from_millis(200);

/// Change the number of shards, while commands flow
///
/// The queues of a new generation are declared and given 10 s to settle. Then the old ones stop taking commands, what they hold is
/// applied, and the new ones begin: commands are accepted all the while, and those of an order wait for about a second. Workers do it;
/// when one ends, another goes on. Ctrl-C only ends the looking on.
///
/// Exits with 1 if it was aborted, and with 6 if another one is under way or a shard is paused. Needs the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly shards resize 24 --reason 'more workers for the sale'
  orderly shards resize 24 --reason 'more workers' --no-wait
  orderly shards resize --abort")]
pub(super) struct ResizeArgs {
    /// Shards that there will be, 1 to 999
    #[arg(required_unless_present = "abort", value_name = "N")]
    count: Option<u16>,
    /// Why, for whoever asks later
    #[arg(long, default_value = "asked for at the command line")]
    reason: String,
    /// Return as soon as it is begun
    #[arg(long)]
    no_wait: bool,
    /// Take the one that is under way back: possible until the old queues stop taking commands
    #[arg(long, conflicts_with_all = ["count", "no_wait"])]
    abort: bool,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Say what a resize would do, and what stands in its way
///
/// Changes nothing. Exits with 6 if it would be refused. Needs the scope ops:read.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly shards plan 24")]
pub(super) struct PlanArgs {
    /// Shards that there would be, 1 to 999
    #[arg(value_name = "N")]
    count: u16,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(super) async fn resize(args: ResizeArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let Some(count) = args.count else {
        let aborted = client
            .fetch(&Call::post("/v1/shards/resize/abort", &Value::Null))
            .await?;
        show(&aborted, format)?;
        return Ok(Exit::Ok);
    };
    let body = json!({"count": count, "reason": args.reason});
    let begun = client
        .fetch(&Call::post("/v1/shards/resize", &body))
        .await?;
    if args.no_wait {
        show(&begun, format)?;
        return Ok(Exit::Ok);
    }
    let ended = watch(&client, begun).await?;
    show(&ended, format)?;
    if ended["step"] == "done" {
        Ok(Exit::Ok)
    } else {
        eprintln!("it was aborted");
        Ok(Exit::Failed)
    }
}

/// Tells of every step on stderr, until it is over.
async fn watch(client: &Client, begun: Value) -> anyhow::Result<Value> {
    let id = &begun["id"];
    let mut progress = Progress::standing("asked for");
    loop {
        // A dashboard that restarts meanwhile changes nothing of the resize.
        let found = client.fetch(&Call::get("/v1/shards")).await;
        match found {
            Ok(found) => {
                let now = &found["last_resize"];
                if now["id"] != *id {
                    return Err(anyhow::anyhow!(
                        "another resize has begun since: {}",
                        plain(&now["step"])
                    ));
                }
                progress.say(saying(now), parts(now));
                if !now["finished_at"].is_null() {
                    return Ok(now.clone());
                }
            }
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error).context("look how far the resize has come"),
        }
        sleep(LOOK).await;
    }
}

/// Old shards that have come as far as the step asks for, of all.
fn parts(now: &Value) -> Option<(u64, u64)> {
    let name = match now["step"].as_str()? {
        "marking" => "marked",
        "draining" => "drained",
        _ => return None,
    };
    Some((now[name].as_u64()?, now["from"].as_u64()?))
}

fn saying(now: &Value) -> String {
    let step = plain(&now["step"]);
    let counted = |name: &str| {
        format!(
            "{} of {} old shards",
            plain(&now[name]),
            plain(&now["from"])
        )
    };
    match step.as_str() {
        "requested" => "asked for; a worker takes it up".to_owned(),
        "declaring" => "declaring the new queues".to_owned(),
        "settling" => {
            "letting them settle, which takes 10 s; until then it can be aborted".to_owned()
        }
        "unbinding" => "the old queues stop taking commands".to_owned(),
        "flipped" => "the new generation is current".to_owned(),
        "marking" => format!("marker 1 met: {}", counted("marked")),
        "draining" => format!("drained: {}", counted("drained")),
        _ => step,
    }
}

fn show(resize: &Value, format: Format) -> anyhow::Result<()> {
    let table = || {
        facts([
            ("resize", plain(&resize["id"])),
            (
                "shards",
                format!("{} → {}", plain(&resize["from"]), plain(&resize["to"])),
            ),
            (
                "generation",
                format!(
                    "{} → {}",
                    plain(&resize["from_generation"]),
                    plain(&resize["to_generation"])
                ),
            ),
            ("step", plain(&resize["step"])),
            ("asked for by", plain(&resize["requested_by"])),
            ("reason", plain(&resize["reason"])),
        ])
    };
    format.record(resize, table)?;
    Ok(())
}

pub(super) async fn plan(args: PlanArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let body = json!({"count": args.count});
    let plan = client.fetch(&Call::post("/v1/shards/plan", &body)).await?;
    let percent = |name: &str| format!("{:.1} %", plan[name].as_f64().unwrap_or_default());
    let table = || {
        facts([
            (
                "shards",
                format!("{} → {}", plain(&plan["from"]), plain(&plan["to"])),
            ),
            ("messages that wait and go first", plain(&plan["waiting"])),
            (
                "orders with another shard number",
                percent("renumbered_percent"),
            ),
            ("orders on each shard", percent("share_percent")),
            ("workers alive", plain(&plan["workers"])),
        ])
    };
    format.record(&plan, table)?;
    match plan["refused"]["detail"].as_str() {
        None => Ok(Exit::Ok),
        Some(detail) => {
            eprintln!("it would be refused: {detail}");
            Ok(Exit::Conflict)
        }
    }
}
