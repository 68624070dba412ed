//! What commands say: data on stdout in the form that was asked for, words on stderr.
//!
//! Owns the forms; the only place that writes to stdout. Colour appears only on a terminal.

use std::io::{self, IsTerminal, Write};

mod money;
mod progress;
mod stream;

pub(crate) use money::amount;
pub(crate) use progress::Progress;
pub(crate) use stream::RowStream;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::Value;

/// `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
}

impl Format {
    /// Prints one thing.
    pub(crate) fn record<T: Serialize>(
        self,
        record: &T,
        table: impl FnOnce() -> String,
    ) -> io::Result<()> {
        match self {
            Self::Table => line(&table()),
            Self::Json => line(&serde_json::to_string_pretty(record)?),
            Self::Jsonl => line(&serde_json::to_string(record)?),
        }
    }

    /// Prints all things of one kind.
    pub(crate) fn rows<T: Serialize, const N: usize>(
        self,
        rows: &[T],
        head: [&str; N],
        cells: impl Fn(&T) -> [String; N],
    ) -> io::Result<()> {
        match self {
            Self::Table => line(&table(head, rows.iter().map(cells))),
            Self::Json => line(&serde_json::to_string_pretty(rows)?),
            Self::Jsonl => rows
                .iter()
                .try_for_each(|row| line(&serde_json::to_string(row)?)),
        }
    }
}

/// A table with a head, without borders: it can be read by people and cut by columns.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row.map(cell));
    }
    plain_columns(table)
}

/// Columns begin at the left edge and stand two spaces apart.
fn plain_columns(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Numbers are compared digit by digit: to the right.
fn cell(text: String) -> Cell {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == ',');
    Cell::new(text).set_alignment(if numeric {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    })
}

/// `39529` → `39,529`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `95` → `95 s`, `7200` → `2 h`: as exact as somebody wants to know.
pub(crate) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Names and values below each other.
pub(crate) fn facts<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in pairs {
        table.add_row([name, value.as_str()]);
    }
    plain_columns(table)
}

/// A JSON string without its quotes, anything else as JSON; nothing for null.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Writes a line to stdout.
pub(crate) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Writes to stdout what will go on.
fn unfinished(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}")?;
    stdout.flush()
}

/// Whoever read has read enough (`orderly … | head`); what the command found is still told by its exit code.
pub(crate) fn unless_closed(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Whether the reader of stdout has gone.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Tells of an error on stderr, with its causes, once.
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("orderly: {error:#}");
}

/// Asks a person at a terminal; without one, or without a clear yes, the answer is no.
pub(crate) fn confirm(question: &str) -> io::Result<bool> {
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Whether somebody is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Emphasis on a terminal, plain elsewhere.
pub(crate) fn bold(text: &str) -> String {
    styled(text, "1")
}

/// Good news on a terminal, plain elsewhere.
pub(crate) fn green(text: &str) -> String {
    styled(text, "32")
}

/// Bad news on a terminal, plain elsewhere.
pub(crate) fn red(text: &str) -> String {
    styled(text, "31")
}

/// Whether what goes to `stream` may have colour (<https://no-color.org>).
pub(crate) fn has_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn styled(text: &str, code: &str) -> String {
    if has_colour(&io::stdout()) {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{age, table, thousands};

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 39_529, 1_234_567].map(thousands),
            ["0", "999", "1,000", "39,529", "1,234,567"]
        );
    }

    #[test]
    fn ages_have_one_unit() {
        assert_eq!(
            [0, 119, 120, 7_199, 7_200, 172_800].map(age),
            ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]
        );
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let text = table(
            ["name", "lines"],
            [["a".into(), "7".into()], ["b".into(), "1,200".into()]],
        );
        let ends: Vec<_> = text.lines().skip(1).map(str::len).collect();
        assert_eq!(ends[0], ends[1], "{text}");
    }
}
