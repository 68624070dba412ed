//! `orderly scaling`: how many workers there should be.

use serde_json::Value;

use crate::{
    client::{Call, ClientFlags},
    exit::Exit,
    output::{Format, facts, plain},
};

/// Say how many workers there should be, and why
///
/// Enough that what waits is gone within 30 s, and that workers are busy for at most 70 % of their time; no more than there are
/// shards, or orders that can go on. Each figure is the median of three looks, 5 s apart. Starts and stops nothing: that is for an
/// autoscaler, which may read this or the metric orderly_scaling_wanted_workers of a dashboard.
///
/// Needs the scope ops:read.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly scaling
  orderly scaling -o json | jq .wanted_workers
  watch orderly scaling")]
pub(crate) struct ScalingArgs {
    #[command(flatten)]
    connection: ClientFlags,
}

pub(crate) async fn run(args: ScalingArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let found = client.fetch(&Call::get("/v1/scaling")).await?;
    format.record(&found, || table(&found))?;
    Ok(Exit::Ok)
}

fn table(found: &Value) -> String {
    let drain = match &found["drain_seconds"] {
        Value::Null => "never: nothing is applied".to_owned(),
        seconds => format!("{} s", plain(seconds)),
    };
    let busy = found["busy"].as_f64().unwrap_or_default();
    facts([
        ("wanted workers", plain(&found["wanted_workers"])),
        ("because", plain(&found["because"])),
        ("workers", plain(&found["workers"])),
        ("shards", plain(&found["shards"])),
        ("busy", format!("{:.0} %", 100.0 * busy)),
        ("messages waiting", plain(&found["waiting_messages"])),
        ("gone in", drain),
        (
            "messages applied",
            format!("{}/s", plain(&found["messages_per_second"])),
        ),
        ("runnable orders", plain(&found["runnable_orders"])),
        (
            "oldest in hand",
            format!("{} s", plain(&found["oldest_age_seconds"])),
        ),
    ])
}
