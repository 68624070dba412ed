//! `orderly shards pause|resume`, and `orderly pause|resume` for everything.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    client::{Call, ClientFlags, segment},
    exit::Exit,
    output::{Format, facts, plain},
};

/// Let nobody consume a shard: its commands are accepted and wait
///
/// Its owner finishes what it has begun and hands over; that takes some milliseconds. Refused while a resize drains the shards. Needs
/// the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly shards pause 3 --reason 'looking at order 0190…'
  orderly shards pause g2.003 --reason 'a slow query' --expires-in 10m")]
pub(super) struct PauseShardArgs {
    /// Shard, as `orderly shards list` names it, or its number
    shard: String,
    #[command(flatten)]
    pause: PauseFlags,
}

/// Let a paused shard go on
///
/// One that is paused with all others stays so. Needs the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly shards resume 3")]
pub(super) struct ResumeShardArgs {
    /// Shard, as `orderly shards list` names it, or its number
    shard: String,
    #[command(flatten)]
    connection: ClientFlags,
}

/// Pause every shard: commands are accepted and wait
///
/// Needs the scope ops:write. `orderly shards pause` pauses one.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly pause --reason 'the database moves' --expires-in 30m")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    pause: PauseFlags,
}

/// Let every shard go on
///
/// One that is paused by itself stays so. Needs the scope ops:write.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly resume")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    connection: ClientFlags,
}

#[derive(Debug, clap::Args)]
struct PauseFlags {
    /// Why, for whoever asks later
    #[arg(long)]
    reason: String,
    /// End it by itself after this, as 90s, 10m or 2h, 7 days at most [default: when somebody resumes]
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    connection: ClientFlags,
}

/// As the server takes it.
const LONGEST_SECONDS: u64 = 7 * 24 * 3_600;

pub(super) fn expiry(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    read.filter(|seconds| (1..=LONGEST_SECONDS).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| {
            "a whole number with a unit, as 90s, 10m, 2h or 7d; 7 days at most".to_owned()
        })
}

pub(super) async fn pause_shard(args: PauseShardArgs, format: Format) -> anyhow::Result<Exit> {
    let path = format!("/v1/shards/{}/pause", segment(&args.shard));
    args.pause.send(&path, format).await
}

pub(super) async fn resume_shard(args: ResumeShardArgs, format: Format) -> anyhow::Result<Exit> {
    let path = format!("/v1/shards/{}/resume", segment(&args.shard));
    resumed(&args.connection, &path, format).await
}

pub(crate) async fn pause(args: PauseArgs, format: Format) -> anyhow::Result<Exit> {
    args.pause.send("/v1/pause", format).await
}

pub(crate) async fn resume(args: ResumeArgs, format: Format) -> anyhow::Result<Exit> {
    resumed(&args.connection, "/v1/resume", format).await
}

impl PauseFlags {
    async fn send(self, path: &str, format: Format) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let seconds = self.expires_in.map(|limit| limit.as_secs());
        let body = json!({"reason": self.reason, "expires_in_seconds": seconds});
        let pause = client.fetch(&Call::post(path, &body)).await?;
        let table = || {
            facts([
                ("shard", which(&pause)),
                ("paused by", plain(&pause["paused_by"])),
                ("until", until(&pause)),
                ("reason", plain(&pause["reason"])),
            ])
        };
        format.record(&pause, table)?;
        Ok(Exit::Ok)
    }
}

async fn resumed(connection: &ClientFlags, path: &str, format: Format) -> anyhow::Result<Exit> {
    let client = connection.client()?;
    let resumed = client.fetch(&Call::post(path, &Value::Null)).await?;
    let table = || {
        let was_paused = if resumed["was_paused"] == true {
            "resumed"
        } else {
            "was not paused"
        };
        facts([("shard", which(&resumed)), ("now", was_paused.to_owned())])
    };
    format.record(&resumed, table)?;
    Ok(Exit::Ok)
}

/// Which shard a pause is of.
pub(super) fn which(pause: &Value) -> String {
    pause["shard"].as_str().unwrap_or("all").to_owned()
}

/// When it ends.
pub(super) fn until(pause: &Value) -> String {
    let at = pause["expires_at"].as_str();
    at.unwrap_or("somebody resumes it").to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Duration, expiry};

    #[test]
    fn a_pause_ends_after_a_time_with_a_unit() {
        assert_eq!(expiry("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(expiry("2h"), Ok(Duration::from_hours(2)));
        assert_eq!(expiry("7d"), Ok(Duration::from_hours(7 * 24)));
        for wrong in ["0s", "8d", "10", "h", "-1m", "1w", ""] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }
}
