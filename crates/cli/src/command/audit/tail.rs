//! `orderly audit tail`: the newest entries, and with `--follow` those that come.

use std::time::Duration;

use orderly_protocol::timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Answer, Call, Client, ClientError, ClientFlags, query},
    exit::Exit,
    lifecycle::Signals,
    output::{Format, RowStream, plain},
};

/// Print the newest entries of the audit, oldest first
///
/// With --follow it goes on until Ctrl-C, which is its normal end (exit code 0). In JSON, an entry has everything that its hash
/// was made of.
///
/// Needs the scope ops:read.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly audit tail --follow
  orderly audit tail -n 100 --action key --since 2026-11-01T00:00:00Z
  orderly audit tail --target stock/MUG-RED -o json | jq '.[] | [.at, .actor, .before, .after]'")]
pub(super) struct TailArgs {
    /// Print those that come, too
    #[arg(short, long)]
    follow: bool,
    /// Entries to begin with
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 20)]
    count: usize,
    /// Only by this actor: name or id of a key, or user@host
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, such as key.revoke, or all of a family, such as key
    #[arg(long)]
    action: Option<String>,
    /// Only what was done to this, such as stock/MUG-RED
    #[arg(long)]
    target: Option<String>,
    /// Not older than this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<String>,
    #[command(flatten)]
    connection: ClientFlags,
}

/// People act seldom: one question a second shows what they do while they look.
const POLL: Duration = Duration::from_secs(1);

/// A server that restarts is back within this; somebody is waiting at a terminal.
const PATIENCE: Duration = Duration::from_secs(30);

/// As many as a server gives at once.
const PAGE: usize = 500;

/// The columns and how wide each is at least; the last one ends the line.
const HEAD: [(&str, usize); 7] = [
    ("id", 6),
    ("time", 27),
    ("actor", 16),
    ("action", 14),
    ("target", 28),
    ("result", 10),
    ("reason", 0),
];

fn time(text: &str) -> Result<String, String> {
    timestamp::parse(text)
        .map(timestamp::format)
        .map_err(|_| "a time of RFC 3339, such as 2026-11-23T08:30:00Z".to_owned())
}

pub(super) async fn run(args: TailArgs, format: Format) -> anyhow::Result<Exit> {
    let audit = Audit {
        client: args.connection.client()?,
        filters: [
            ("actor", args.actor),
            ("action", args.action),
            ("target", args.target),
            ("since", args.since),
        ],
    };
    let mut rows = RowStream::new(format, HEAD, cells);
    // Taken first, and without filters: whatever is appended from here on is found behind it.
    let end = audit.end().await?;
    for entry in audit.newest(end, args.count).await? {
        rows.print(&entry)?;
    }
    if args.follow {
        follow(&audit, end, &mut rows).await?;
    }
    rows.finish()?;
    Ok(Exit::Ok)
}

/// Prints what comes after the entry `end` until somebody ends it.
async fn follow(audit: &Audit, mut end: i64, rows: &mut RowStream<7>) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    loop {
        let heard = tokio::select! {
            page = audit.after(end) => page?,
            () = signals.next() => return Ok(()),
        };
        for entry in &heard.entries {
            rows.print(entry)?;
        }
        if heard.next == end {
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = signals.next() => return Ok(()),
            }
        }
        end = heard.next;
    }
}

fn cells(entry: &Value) -> [String; 7] {
    let text = |name: &str| plain(&entry[name]);
    let result = match text("code") {
        code if code.is_empty() => text("result"),
        code => format!("{}: {code}", text("result")),
    };
    [
        format!("{:>6}", text("audit_id")),
        text("at"),
        text("actor"),
        text("action"),
        text("target"),
        result,
        text("reason"),
    ]
}

/// The audit of a server, as far as the filters let it pass.
struct Audit {
    client: Client,
    filters: [(&'static str, Option<String>); 4],
}

struct Heard {
    entries: Vec<Value>,
    /// The id after which to go on.
    next: i64,
}

impl Audit {
    /// The id of the newest entry.
    async fn end(&self) -> Result<i64, ClientError> {
        let page = self.ask("/v1/audit?limit=1").await?;
        Ok(page
            .pointer("/entries/0/audit_id")
            .and_then(Value::as_i64)
            .unwrap_or(0))
    }

    /// The newest `count` entries up to `end`, oldest first.
    async fn newest(&self, end: i64, count: usize) -> Result<Vec<Value>, ClientError> {
        let mut entries = Vec::new();
        let mut cursor = Some(end + 1);
        while let Some(at) = cursor.filter(|_| entries.len() < count) {
            let limit = (count - entries.len()).min(PAGE);
            let mut page = self
                .page([("cursor", at.to_string()), ("limit", limit.to_string())])
                .await?;
            entries.append(&mut taken(&mut page));
            cursor = page["next_cursor"].as_i64();
        }
        entries.reverse();
        Ok(entries)
    }

    async fn after(&self, id: i64) -> Result<Heard, ClientError> {
        let mut page = self
            .page([("after", id.to_string()), ("limit", PAGE.to_string())])
            .await?;
        Ok(Heard {
            entries: taken(&mut page),
            next: page["next_after"].as_i64().unwrap_or(id),
        })
    }

    async fn page(&self, place: [(&'static str, String); 2]) -> Result<Value, ClientError> {
        let filters = self.filters.iter();
        let filters = filters.filter_map(|(name, value)| Some((*name, value.clone()?)));
        self.ask(&format!("/v1/audit{}", query(filters.chain(place))))
            .await
    }

    async fn ask(&self, path: &str) -> Result<Value, ClientError> {
        let token = CancellationToken::new();
        let call = Call::get(path);
        let answer = self.client.send_patiently(&call, PATIENCE, &token).await;
        Ok(answer.and_then(Answer::success)?.body)
    }
}

fn taken(page: &mut Value) -> Vec<Value> {
    match page.get_mut("entries").map(Value::take) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    }
}
