//! `orderly shards drain`: moves every shard off a worker.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{counted, pause::expiry, rows};
use crate::{
    client::{Call, Client, ClientFlags, segment},
    exit::Exit,
    output::{Format, Progress, facts, plain},
};

/// How often it is looked how far the shards have come.
const LOOK: Duration = Duration::from_millis(200);

/// Move every shard off a worker, so that it can be stopped or upgraded
///
/// The others take its shards over as if it were gone, and it ends what it has begun with each: nothing is lost or applied out of
/// order. A shard that it has had for less than 7 s is given up when these are over. It owns nothing from then on and stands by for
/// nothing, except where nobody else has room. That lasts as long as its process; what replaces it has another name.
///
/// Exits with 3 if it still consumes a shard when the limit is over, and with 6 if every other worker is drained or dead. Ctrl-C only
/// ends the looking on. Needs the scope ops:write, and ops:read to wait.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly shards drain worker.vm.11609.313d531f --reason 'a new kernel'
  orderly shards drain worker.vm.11609.313d531f --reason 'an upgrade' --no-wait
  orderly shards drain worker.vm.11609.313d531f --undo")]
pub(super) struct DrainArgs {
    /// Worker, as `orderly shards list` names it
    worker: String,
    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", required_unless_present = "undo")]
    reason: Option<String>,
    /// Let it have its share again
    #[arg(long, conflicts_with_all = ["reason", "no_wait", "limit"])]
    undo: bool,
    /// Return as soon as it is begun
    #[arg(long)]
    no_wait: bool,
    /// Wait no longer than this, as 90s or 10m
    #[arg(long, value_name = "TIME", value_parser = expiry, default_value = "60s")]
    limit: Duration,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(super) async fn drain(args: DrainArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    if args.undo {
        return undo(&client, &args.worker, format).await;
    }
    let path = format!("/v1/workers/{}/drain", segment(&args.worker));
    let body = json!({"reason": args.reason});
    let mut drained = client.fetch(&Call::post(&path, &body)).await?;
    if args.no_wait {
        show(&drained, format)?;
        return Ok(Exit::Ok);
    }
    let ended = watch(&client, &drained, args.limit).await?;
    drained["left"] = json!(ended.left());
    show(&drained, format)?;
    Ok(ended.exit(args.limit))
}

async fn undo(client: &Client, worker: &str, format: Format) -> anyhow::Result<Exit> {
    let path = format!("/v1/workers/{}/resume", segment(worker));
    let resumed = client.fetch(&Call::post(&path, &Value::Null)).await?;
    let table = || {
        let now = if resumed["was_draining"] == true {
            "takes its share again"
        } else {
            "was not drained"
        };
        facts([
            ("worker", plain(&resumed["worker"])),
            ("now", now.to_owned()),
        ])
    };
    format.record(&resumed, table)?;
    Ok(Exit::Ok)
}

fn show(drained: &Value, format: Format) -> anyhow::Result<()> {
    let table = || {
        let left = drained["left"].as_array().into_iter().flatten().map(plain);
        let draining = &drained["draining"];
        let known = [
            ("worker", plain(&drained["worker"])),
            ("drained by", plain(&draining["drained_by"])),
            ("reason", plain(&draining["reason"])),
            ("left", left.collect::<Vec<_>>().join(" ")),
        ];
        facts(known.into_iter().filter(|(_, value)| !value.is_empty()))
    };
    format.record(drained, table)?;
    Ok(())
}

/// How the waiting ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// It consumes nothing, or has ended.
    Moved,
    /// Somebody resumed it.
    TakenBack,
    /// It still consumes these.
    Left(Vec<String>),
}

impl Ended {
    fn left(&self) -> &[String] {
        match self {
            Self::Left(shards) => shards,
            Self::Moved | Self::TakenBack => &[],
        }
    }

    fn exit(&self, limit: Duration) -> Exit {
        match self {
            Self::Moved => {
                eprintln!("it consumes no shard: it can be stopped");
                Exit::Ok
            }
            Self::TakenBack => {
                eprintln!("somebody resumed it meanwhile");
                Exit::Failed
            }
            Self::Left(shards) => {
                let seconds = limit.as_secs();
                eprintln!(
                    "nobody else has taken {} within {seconds} s: {}; start another worker, or give one more room (--max-shards)",
                    counted(shards.len(), "shard"),
                    shards.join(" ")
                );
                Exit::Partly
            }
        }
    }
}

/// Tells of every shard on stderr, until none is left or `limit` is over.
async fn watch(client: &Client, drained: &Value, limit: Duration) -> anyhow::Result<Ended> {
    let gives_up_at = Instant::now() + limit;
    let mut progress = Progress::standing("asked for");
    let mut shards = Shards::new(drained);
    loop {
        // A dashboard that restarts meanwhile changes nothing of the drain.
        match client.fetch(&Call::get("/v1/shards")).await {
            Ok(mut found) => {
                if let Some(ended) = shards.look(&rows(&mut found, "workers")) {
                    return Ok(ended);
                }
            }
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error).context("look how far the shards have come"),
        }
        let (moved, most) = (shards.most - shards.left.len(), shards.most);
        if most > 0 {
            let saying = format!("moved: {moved} of {}", counted(most, "shard"));
            progress.say(saying, Some((moved as u64, most as u64)));
        }
        if Instant::now() >= gives_up_at {
            return Ok(Ended::Left(shards.left));
        }
        sleep(LOOK).await;
    }
}

/// What one worker consumes, as it has told so far.
struct Shards {
    worker: Value,
    drained_at: String,
    left: Vec<String>,
    /// The most that it consumed since.
    most: usize,
    /// The heartbeat with which it told of none.
    none_since: Option<String>,
}

impl Shards {
    fn new(drained: &Value) -> Self {
        Self {
            worker: drained["worker"].clone(),
            drained_at: plain(&drained["draining"]["drained_at"]),
            left: Vec::new(),
            most: 0,
            none_since: None,
        }
    }

    fn look(&mut self, workers: &[Value]) -> Option<Ended> {
        let Some(row) = workers.iter().find(|row| row["worker"] == self.worker) else {
            self.left.clear();
            return Some(Ended::Moved);
        };
        if row["draining"].is_null() {
            return Some(Ended::TakenBack);
        }
        self.left = row["shards"]
            .as_array()
            .into_iter()
            .flatten()
            .map(plain)
            .collect();
        self.most = self.most.max(self.left.len());
        let seen_at = plain(&row["seen_at"]);
        if !self.left.is_empty() {
            self.none_since = None;
            return None;
        }
        // Times of one clock and one form. The first heartbeat after the drain is the one by which the worker hears of it, and may
        // be on its way to one more shard; with the second it has told of that.
        if seen_at <= self.drained_at {
            return None;
        }
        let first = self.none_since.get_or_insert_with(|| seen_at.clone());
        (*first < seen_at).then_some(Ended::Moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained() -> Shards {
        Shards::new(
            &json!({"worker": "a", "draining": {"drained_at": "2026-01-01T00:00:05.000000Z"}}),
        )
    }

    fn told(second: u32, shards: &[&str]) -> Vec<Value> {
        let seen_at = format!("2026-01-01T00:00:{second:02}.000000Z");
        let row = json!({"worker": "a", "seen_at": seen_at, "shards": shards, "draining": {}});
        vec![
            json!({"worker": "b", "seen_at": seen_at, "shards": []}),
            row,
        ]
    }

    #[test]
    fn a_worker_has_moved_all_when_it_tells_so_twice_after_the_drain() {
        let mut shards = drained();
        assert_eq!(shards.look(&told(4, &[])), None);
        assert_eq!(shards.look(&told(6, &[])), None, "it hears of it just now");
        assert_eq!(shards.look(&told(6, &["g1.000"])), None);
        assert_eq!(shards.look(&told(7, &[])), None);
        assert_eq!(shards.look(&told(7, &[])), None, "the same heartbeat");
        assert_eq!(
            shards.look(&told(8, &["g1.001"])),
            None,
            "it was on its way"
        );
        assert_eq!(shards.look(&told(9, &[])), None);
        assert_eq!(shards.look(&told(10, &[])), Some(Ended::Moved));
        assert_eq!(shards.most, 1);
    }

    #[test]
    fn one_that_ends_or_is_resumed_is_waited_for_no_longer() {
        let mut gone = told(6, &["g1.000"]);
        assert_eq!(drained().look(&gone[..1]), Some(Ended::Moved));
        gone[1]["draining"] = Value::Null;
        assert_eq!(drained().look(&gone), Some(Ended::TakenBack));
    }
}
