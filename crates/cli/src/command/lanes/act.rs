//! `orderly lanes retry|skip|edit|discard`: acts on one lane, or on all that failed alike.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    client::{Answer, Call, Client, ClientFlags},
    command::{commands, filter},
    exit::{Exit, UsageError},
    output::{self, Format, Progress, plain},
};

/// Decide the head of a lane anew, then everything behind it, in order
///
/// It ends at the next command that cannot be decided: that one is the new head. Exits with 3 where something is left.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly lanes retry $ORDER --reason 'the new build knows it'
  orderly lanes retry $ORDER --reason 'try' --dry-run
  orderly lanes retry --fingerprint 2f1c9b0a77d3e4f5 --reason 'fixed in 1.4' --per-second 5 --yes")]
pub(super) struct RetryArgs {
    #[command(flatten)]
    group: GroupFlags,
    #[command(flatten)]
    how: HowFlags,
}

/// Discard the head of a lane, then decide everything behind it, in order
///
/// Asks first; without a terminal to ask at, it needs --yes. Exits with 3 where something is left.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly lanes skip $ORDER --reason 'sent by mistake'
  orderly lanes skip --fingerprint 2f1c9b0a77d3e4f5 --reason 'sent by mistake' --dry-run")]
pub(super) struct SkipArgs {
    #[command(flatten)]
    group: GroupFlags,
    #[command(flatten)]
    how: HowFlags,
}

/// Discard the head of a lane and everything behind it
///
/// Asks first; without a terminal to ask at, it needs --yes. Exits with 3 where something is left.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly lanes discard $ORDER --reason 'a test order'")]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    group: GroupFlags,
    #[command(flatten)]
    how: HowFlags,
}

/// Decide another command in the place of the head, then everything behind it, in order
///
/// Asks first; without a terminal to ask at, it needs --yes. Exits with 3 where something is left.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly lanes edit $ORDER annotate --data '{\"key\":\"gift\",\"value\":\"yes\"}' --reason 'wrong type'
  orderly lanes edit $ORDER ship --data @ship.json --reason 'wrong carrier' --dry-run")]
pub(super) struct EditArgs {
    /// Id of the order
    #[arg(value_parser = filter::order_id)]
    order_id: Uuid,
    /// Type of the new command
    #[arg(value_name = "TYPE")]
    action: String,
    /// The new command's data as JSON; @FILE reads a file, - reads stdin
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// The head it is about [default: the present one]
    #[arg(long, value_name = "COMMAND", value_parser = filter::order_id)]
    head: Option<Uuid>,
    #[command(flatten)]
    how: HowFlags,
}

/// Which lanes.
#[derive(Debug, clap::Args)]
struct GroupFlags {
    /// Id of the order
    #[arg(
        value_parser = filter::order_id,
        required_unless_present = "fingerprint",
        conflicts_with = "fingerprint"
    )]
    order_id: Option<Uuid>,
    /// The head it is about [default: the present one]
    #[arg(long, value_name = "COMMAND", value_parser = filter::order_id, conflicts_with = "fingerprint")]
    head: Option<Uuid>,
    /// Every lane that failed so, instead of one
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// Lanes to act on at the most, with --fingerprint [default: 500]
    #[arg(long, value_name = "N", requires = "fingerprint")]
    limit: Option<u32>,
    /// Lanes to act on within a second, with --fingerprint [default: 50]
    #[arg(long, value_name = "N", requires = "fingerprint")]
    per_second: Option<u32>,
}

/// Why, and how carefully.
#[derive(Debug, clap::Args)]
struct HowFlags {
    /// Why; it is kept with the outcome
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Idempotency key: the same key again is the same control command [default: a new one]
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    connection: ClientFlags,
}

/// As for commands.
const PATIENCE: Duration = Duration::from_secs(30);
/// Seconds; a lane of some thousand commands is released by then.
const WAIT: u32 = 30;

pub(super) async fn retry(args: RetryArgs, format: Format) -> anyhow::Result<Exit> {
    // What is retried is not lost, whatever comes of it: nobody is asked.
    let how = HowFlags {
        yes: true,
        ..args.how
    };
    act("retry", args.group, how, format).await
}

pub(super) async fn skip(args: SkipArgs, format: Format) -> anyhow::Result<Exit> {
    act("skip", args.group, args.how, format).await
}

pub(super) async fn discard(args: DiscardArgs, format: Format) -> anyhow::Result<Exit> {
    act("discard", args.group, args.how, format).await
}

pub(super) async fn edit(args: EditArgs, format: Format) -> anyhow::Result<Exit> {
    let data = commands::data(&args.data)?;
    let client = args.how.connection.client()?;
    let more = json!({"replacement": {"type": args.action, "data": data}});
    one(
        &client,
        "edit",
        (args.order_id, args.head),
        more,
        &args.how,
        format,
    )
    .await
}

async fn act(verb: &str, group: GroupFlags, how: HowFlags, format: Format) -> anyhow::Result<Exit> {
    let client = how.connection.client()?;
    match (&group.order_id, &group.fingerprint) {
        (Some(order_id), _) => {
            one(
                &client,
                verb,
                (*order_id, group.head),
                json!({}),
                &how,
                format,
            )
            .await
        }
        (None, Some(fingerprint)) => all(&client, verb, fingerprint, &group, &how, format).await,
        (None, None) => Err(UsageError("an order or --fingerprint is needed".to_owned()).into()),
    }
}

async fn one(
    client: &Client,
    verb: &str,
    (order_id, head): (Uuid, Option<Uuid>),
    mut body: Value,
    how: &HowFlags,
    format: Format,
) -> anyhow::Result<Exit> {
    let head = match head {
        Some(head) => head.to_string(),
        None => present_head(client, order_id).await?,
    };
    if !how.dry_run && !agreed(how, &format!("{verb} {head}, the head of order {order_id}"))? {
        return Ok(Exit::Failed);
    }
    body["command_id"] = json!(head);
    body["reason"] = json!(how.reason);
    let path = format!("/v1/lanes/{order_id}/{verb}");
    if how.dry_run {
        body["dry_run"] = json!(true);
        let found = client.fetch(&Call::post(&path, &body)).await?;
        format.record(&found, || rehearsal(&found))?;
        return Ok(Exit::Ok);
    }
    send(client, (&path, &body), how.key.clone(), format).await
}

/// Sends a control command, waits for it, and prints what it did.
pub(in crate::command) async fn send(
    client: &Client,
    (path, body): (&str, &Value),
    key: Option<String>,
    format: Format,
) -> anyhow::Result<Exit> {
    let key = key.unwrap_or_else(|| Uuid::now_v7().to_string());
    let call = Call::post(path, body).key(&key).wait(WAIT);
    let answer = client
        .send_patiently(&call, PATIENCE, &CancellationToken::new())
        .await;
    let answer = answer
        .and_then(Answer::success)
        .with_context(|| format!("send under key {key}"))?;
    format.record(&answer.body, || done(&answer.body))?;
    if answer.status == 202 {
        eprintln!("accepted and not decided yet; see: orderly lanes list");
        return Ok(Exit::Partly);
    }
    let waiting = answer.body.pointer("/released/waiting");
    let is_left = waiting.and_then(Value::as_i64).is_some_and(|left| left > 0);
    Ok(if is_left { Exit::Partly } else { Exit::Ok })
}

async fn present_head(client: &Client, order_id: Uuid) -> anyhow::Result<String> {
    let path = format!("/v1/lanes/{order_id}?limit=1");
    let lane = client.fetch(&Call::get(&path)).await?;
    let head = lane.pointer("/head/command_id").map(plain);
    head.with_context(|| format!("nothing of order {order_id} waits"))
}

async fn all(
    client: &Client,
    verb: &str,
    fingerprint: &str,
    group: &GroupFlags,
    how: &HowFlags,
    format: Format,
) -> anyhow::Result<Exit> {
    if !how.dry_run
        && !agreed(
            how,
            &format!("{verb} every lane that failed as {fingerprint}"),
        )?
    {
        return Ok(Exit::Failed);
    }
    let mut body = json!({
        "fingerprint": fingerprint,
        "reason": how.reason,
        "dry_run": how.dry_run,
    });
    let bounds = [("limit", group.limit), ("per_second", group.per_second)];
    for (name, bound) in bounds {
        if let Some(bound) = bound {
            body[name] = json!(bound);
        }
    }
    let path = format!("/v1/lanes/{verb}");
    // Repeated under the same key, it is the same control commands again.
    let key = how
        .key
        .clone()
        .unwrap_or_else(|| Uuid::now_v7().to_string());
    let progress = Progress::standing(format!("{verb} of one lane after the other"));
    let found = client.fetch(&Call::post(&path, &body).key(&key)).await?;
    drop(progress);
    format.record(&found, || {
        let facts = ["matched", "accepted", "left"];
        output::facts(facts.map(|name| (name, found.get(name).map(plain).unwrap_or_default())))
    })?;
    Ok(end_of_group(&found))
}

fn end_of_group(found: &Value) -> Exit {
    let is_left = found["left"].as_u64().is_some_and(|left| left > 0);
    if is_left && found["dry_run"] != true {
        Exit::Partly
    } else {
        Exit::Ok
    }
}

fn agreed(how: &HowFlags, what: &str) -> anyhow::Result<bool> {
    if how.yes {
        return Ok(true);
    }
    if !output::can_ask() {
        return Err(UsageError(format!("to {what} needs --yes")).into());
    }
    let yes = output::confirm(&format!("Really {what}?"))?;
    if !yes {
        eprintln!("nothing was done");
    }
    Ok(yes)
}

fn done(answer: &Value) -> String {
    let text = |pointer: &str| answer.pointer(pointer).map(plain).unwrap_or_default();
    let facts = [
        ("command", text("/command_id")),
        ("order", text("/order_id")),
        ("type", text("/type")),
        ("status", text("/status")),
        ("version", text("/version")),
        ("decided", text("/released/decided")),
        ("discarded", text("/released/discarded")),
        ("waiting", text("/released/waiting")),
        ("replacement", text("/released/replacement")),
    ];
    output::facts(facts.into_iter().filter(|(_, value)| !value.is_empty()))
}

fn rehearsal(found: &Value) -> String {
    let would = found["would"].as_array().into_iter().flatten();
    let rows = would.map(|fate| {
        ["command_id", "type", "outcome", "code", "detail"]
            .map(|name| fate.get(name).map(plain).unwrap_or_default())
    });
    let head = ["command", "type", "would be", "code", "detail"];
    let waiting = plain(&found["waiting"]);
    format!("{}\n\nwould wait: {waiting}", output::table(head, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_that_are_left_make_a_group_partly_done_unless_nothing_was_to_be_done() {
        let end = |left: u64, dry_run| end_of_group(&json!({"left": left, "dry_run": dry_run}));
        assert_eq!(end(1, false), Exit::Partly);
        assert_eq!(end(0, false), Exit::Ok);
        assert_eq!(end(1, true), Exit::Ok);
    }
}
