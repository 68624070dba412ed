//! What an import says at its end: every line of the file and every command, with sums that must agree.

use serde::Serialize;

use super::{
    plan::Plan,
    tally::{CommandCount, Fate, LineRow, Tally},
};
use crate::{
    exit::Exit,
    output::{self, thousands},
};

/// The end of an import.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    file_lines: usize,
    accounted_lines: usize,
    lines: Vec<LineRow>,
    commands: Vec<CommandRow>,
    #[serde(skip)]
    unfinished: bool,
}

#[derive(Debug, Serialize)]
struct CommandRow {
    step: &'static str,
    #[serde(flatten)]
    count: CommandCount,
}

impl Report {
    pub(super) fn new(plan: &Plan, tally: &Tally) -> Self {
        let command = |(step, count): (super::command::Step, _)| CommandRow {
            step: step.as_str(),
            count,
        };
        Self {
            file_lines: plan.file_lines,
            accounted_lines: tally.total_lines(),
            lines: tally.rows(),
            commands: tally.commands().map(command).collect(),
            unfinished: tally.is_unfinished(),
        }
    }

    /// All lines accounted for, and all outcomes known?
    pub(crate) fn exit(&self) -> Exit {
        if self.accounted_lines != self.file_lines {
            Exit::Failed
        } else if self.unfinished {
            Exit::Partly
        } else {
            Exit::Ok
        }
    }

    pub(crate) fn table(&self) -> String {
        let total = [
            "total".to_owned(),
            String::new(),
            thousands(self.accounted_lines),
        ];
        let rows = self.lines.iter().map(|row| {
            [
                row.fate.as_str().to_owned(),
                row.by.clone(),
                thousands(row.lines),
            ]
        });
        let lines = output::table(["lines", "by", "count"], rows.chain([total]));
        let commands = output::table(
            [
                "commands",
                "applied",
                "rejected",
                "not sent",
                "unfinished",
                "replayed",
            ],
            self.commands.iter().map(|CommandRow { step, count }| {
                let CommandCount {
                    applied,
                    rejected,
                    not_sent,
                    unfinished,
                    replayed,
                } = *count;
                let [applied, rejected, not_sent, unfinished, replayed] =
                    [applied, rejected, not_sent, unfinished, replayed].map(thousands);
                [
                    (*step).to_owned(),
                    applied,
                    rejected,
                    not_sent,
                    unfinished,
                    replayed,
                ]
            }),
        );
        let verdict = match self.exit() {
            Exit::Ok => output::green(&format!(
                "All {} lines are accounted for.",
                thousands(self.file_lines)
            )),
            Exit::Partly => {
                "Not finished: run the same command again, it goes on where this one ended."
                    .to_owned()
            }
            _ => output::red(&format!(
                "{} lines are accounted for, and the file has {}.",
                thousands(self.accounted_lines),
                thousands(self.file_lines)
            )),
        };
        format!("{lines}\n\n{commands}\n\n{verdict}")
    }
}

impl Fate {
    fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Skipped => "skipped",
            Self::Unfinished => "unfinished",
        }
    }
}
