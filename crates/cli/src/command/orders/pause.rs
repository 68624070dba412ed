//! `orderly orders pause|resume`: lets the commands of an order wait, and go on.

use serde_json::json;
use uuid::Uuid;

use crate::{
    client::ClientFlags,
    command::{filter, lanes},
    exit::Exit,
    output::Format,
};

/// Let every later command of an order wait
///
/// Other orders go on. Needs the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly orders pause $ORDER --reason 'the customer is on the phone'
  orderly orders pause $ORDER --reason 'until noon' --expires-in 7200")]
pub(super) struct PauseArgs {
    /// Id of the order
    #[arg(value_parser = filter::order_id)]
    order_id: Uuid,
    /// Why; it is shown with the order
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Seconds after which it ends by itself
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u32>,
    /// Idempotency key: the same key again is the same control command [default: a new one]
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Take the pause of an order away and decide what waits, in order
///
/// What failed by itself still waits: see `orderly lanes`. Exits with 3 where something is left. Needs the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly orders resume $ORDER --reason 'the call is over'")]
pub(super) struct ResumeArgs {
    /// Id of the order
    #[arg(value_parser = filter::order_id)]
    order_id: Uuid,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Idempotency key: the same key again is the same control command [default: a new one]
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(super) async fn pause(args: PauseArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let mut body = json!({"reason": args.reason});
    if let Some(seconds) = args.expires_in {
        body["expires_in_seconds"] = json!(seconds);
    }
    let path = format!("/v1/orders/{}/pause", args.order_id);
    lanes::send(&client, (&path, &body), args.key, format).await
}

pub(super) async fn resume(args: ResumeArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let body = json!({"reason": args.reason});
    let path = format!("/v1/orders/{}/resume", args.order_id);
    lanes::send(&client, (&path, &body), args.key, format).await
}
