//! `orderly lanes show`: one lane and what waits in it.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    client::{Call, ClientFlags},
    command::filter,
    exit::Exit,
    output::{self, Format, plain},
};

/// Show a lane with the commands that wait in it, oldest first
///
/// Needs the scope ops:read.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly lanes show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f
  orderly lanes show 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f -o json | jq '.commands[0].data'")]
pub(super) struct ShowArgs {
    /// Id of the order
    #[arg(value_parser = filter::order_id)]
    order_id: Uuid,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(super) async fn run(args: ShowArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let path = format!("/v1/lanes/{}?limit=256", args.order_id);
    let mut lane = client.fetch(&Call::get(&path)).await?;
    let mut next = lane["next"].take();
    while let Some(path) = next.as_str() {
        let mut page = client.fetch(&Call::get(path)).await?;
        if let (Value::Array(all), Value::Array(more)) =
            (&mut lane["commands"], page["commands"].take())
        {
            all.extend(more);
        }
        next = page["next"].take();
    }
    if let Value::Object(fields) = &mut lane {
        fields.remove("next");
    }
    format.record(&lane, || table(&lane))?;
    Ok(Exit::Ok)
}

fn table(lane: &Value) -> String {
    let text = |pointer: &str| lane.pointer(pointer).map(plain).unwrap_or_default();
    let facts = [
        ("order", text("/order_id")),
        ("reason", text("/reason")),
        ("detail", text("/detail")),
        ("since", text("/parked_at")),
        ("paused by", text("/paused/by")),
        ("because", text("/paused/reason")),
        ("until", text("/paused/until")),
        ("fingerprint", text("/fingerprint")),
    ];
    let facts = output::facts(facts.into_iter().filter(|(_, value)| !value.is_empty()));
    let commands = lane["commands"].as_array().into_iter().flatten();
    let rows = commands.map(|command| {
        [
            "position",
            "command_id",
            "type",
            "accepted_at",
            "unreadable",
        ]
        .map(|name| command.get(name).map(plain).unwrap_or_default())
    });
    let head = ["place", "command", "type", "accepted", "unreadable"];
    format!("{facts}\n\n{}", output::table(head, rows))
}
