//! `orderly commands batch`: many commands in one request.

use serde_json::Value;

use super::file;
use crate::{
    client::{ClientFlags, Refusal},
    exit::Exit,
    output::{Format, plain},
};

/// Send many commands in one request, one a line
///
/// A line is {"order_id", "type", "data", "idempotency_key", "expected_version"}, the last two if you like; 256 kB in all. Lines of one
/// order keep their order, and end where one of them is not accepted. With keys in the lines the same file can be sent again.
///
/// Tells of each line whether it was accepted, not what becomes of it. Exits with 3 if some were accepted and some were not.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly commands batch commands.ndjson
  jq -c '.[]' commands.json | orderly commands batch - -o jsonl")]
pub(super) struct BatchArgs {
    /// The file; - reads stdin
    file: String,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(super) async fn run(args: BatchArgs, format: Format) -> anyhow::Result<Exit> {
    let client = args.connection.client()?;
    let lines = file(&args.file)?;
    let sent = lines.lines().filter(|line| !line.trim().is_empty()).count();
    let answers = client.send_lines("/v1/commands/batch", lines).await?;
    let mut ends: Vec<_> = answers.iter().map(end).collect();
    let numbered: Vec<_> = (1..).zip(answers).map(Line::new).collect();
    let head = ["line", "status", "command", "order", "detail"];
    format.rows(&numbered, head, Line::cells)?;
    if ends.len() < sent {
        let unanswered = sent - ends.len();
        eprintln!("{unanswered} lines have no answer: whether they were accepted is not known");
        ends.push(Exit::Unavailable);
    }
    let accepted = ends.iter().filter(|end| **end == Exit::Ok).count();
    eprintln!("{accepted} of {sent} accepted");
    Ok(Exit::of_all(&ends))
}

/// A line is answered by the command, or by a problem.
fn end(answer: &Value) -> Exit {
    if answer["command_id"].is_string() {
        return Exit::Ok;
    }
    let status = answer["status"]
        .as_u64()
        .and_then(|status| status.try_into().ok());
    Refusal::of(status.unwrap_or_default(), answer).exit()
}

/// An answer with the number of its line.
#[derive(serde::Serialize)]
struct Line {
    line: usize,
    #[serde(flatten)]
    answer: Value,
}

impl Line {
    fn new((line, answer): (usize, Value)) -> Self {
        Self { line, answer }
    }

    fn cells(&self) -> [String; 5] {
        let text = |name: &str| plain(&self.answer[name]);
        let status = match text("code") {
            code if code.is_empty() => text("status"),
            code => code,
        };
        let number = self.line.to_string();
        [
            number,
            status,
            text("command_id"),
            text("order_id"),
            text("detail"),
        ]
    }
}
