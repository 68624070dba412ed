//! Rows that come one by one: each is on stdout before the next one is known.

use std::{fmt::Write, io};

use serde_json::Value;

use super::{Format, line, unfinished};

/// Prints rows as they come. A table has columns of fixed widths, JSON is one array, and JSON lines are lines.
pub(crate) struct RowStream<const N: usize> {
    format: Format,
    head: [(&'static str, usize); N],
    cells: fn(&Value) -> [String; N],
    rows: usize,
}

impl<const N: usize> RowStream<N> {
    /// `head`: the names of the columns, and how wide each is at least.
    pub(crate) fn new(
        format: Format,
        head: [(&'static str, usize); N],
        cells: fn(&Value) -> [String; N],
    ) -> Self {
        Self {
            format,
            head,
            cells,
            rows: 0,
        }
    }

    pub(crate) fn print(&mut self, row: &Value) -> io::Result<()> {
        match self.format {
            Format::Table => {
                if self.rows == 0 {
                    line(&self.columns(self.head.map(|(name, _)| name.to_owned())))?;
                }
                line(&self.columns((self.cells)(row)))?;
            }
            Format::Jsonl => line(&serde_json::to_string(row)?)?,
            Format::Json => {
                // Nobody knows yet whether a comma follows.
                let mark = if self.rows == 0 { "[" } else { "," };
                let row = serde_json::to_string_pretty(row)?.replace('\n', "\n  ");
                unfinished(&format!("{mark}\n  {row}"))?;
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// How many were printed.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Ends what was begun.
    pub(crate) fn finish(self) -> io::Result<()> {
        match (self.format, self.rows) {
            (Format::Json, 0) => line("[]"),
            (Format::Json, _) => line("\n]"),
            _ => Ok(()),
        }
    }

    fn columns(&self, cells: [String; N]) -> String {
        let mut text = String::new();
        for ((_, width), cell) in self.head.iter().zip(cells) {
            write!(text, "{cell:<width$}  ").expect("writing to a string does not fail");
        }
        text.trim_end().to_owned()
    }
}
