//! The account of an import: what became of every line of the file and of every command. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    command::Step,
    journey::StepEnd,
    plan::{Plan, PlannedOrder},
};

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Applied,
    Rejected,
    Skipped,
    /// The import ended before the outcome was known; the same command finds it out.
    Unfinished,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LineRow {
    pub(crate) fate: Fate,
    /// In an order, in a return, or why neither.
    pub(crate) by: String,
    pub(crate) lines: usize,
}

/// What became of the commands of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CommandCount {
    pub(crate) applied: usize,
    pub(crate) rejected: usize,
    pub(crate) not_sent: usize,
    pub(crate) unfinished: usize,
    /// Of the applied and rejected ones, those that an earlier run had sent.
    pub(crate) replayed: usize,
}

/// Counts as orders come in.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    lines: BTreeMap<(Fate, String), usize>,
    commands: BTreeMap<Step, CommandCount>,
}

impl Tally {
    /// Begins with the lines that the plan leaves out.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut tally = Self::default();
        for (reason, lines) in &plan.skipped {
            tally.add_lines(Fate::Skipped, reason.as_str(), *lines);
        }
        tally
    }

    /// Adds one order, with one end per command.
    pub(crate) fn add(&mut self, order: &PlannedOrder, ends: &[(Step, StepEnd)]) {
        let mut returns = order.returns.iter();
        for (step, end) in ends {
            self.add_command(*step, end);
            let file_lines = match step {
                Step::Place => order.file_lines,
                Step::Return => returns.next().map_or(0, |planned| planned.file_lines),
                Step::Pay | Step::Ship | Step::Deliver => continue,
            };
            let (fate, by) = match end {
                StepEnd::Applied { .. } => (Fate::Applied, step.as_str()),
                StepEnd::Rejected { code, .. } | StepEnd::NotSent { code } => {
                    (Fate::Rejected, code.as_str())
                }
                StepEnd::Unfinished { reason } => (Fate::Unfinished, reason.as_str()),
            };
            self.add_lines(fate, by, file_lines);
        }
    }

    /// An order that was never begun.
    pub(crate) fn add_unbegun(&mut self, order: &PlannedOrder) {
        self.add_lines(Fate::Unfinished, "stopped", order.all_file_lines());
    }

    pub(crate) fn rows(&self) -> Vec<LineRow> {
        let row = |((fate, by), lines): (&(Fate, String), &usize)| LineRow {
            fate: *fate,
            by: by.clone(),
            lines: *lines,
        };
        self.lines.iter().map(row).collect()
    }

    pub(crate) fn commands(&self) -> impl Iterator<Item = (Step, CommandCount)> {
        Step::ALL
            .into_iter()
            .map(|step| (step, self.commands.get(&step).copied().unwrap_or_default()))
    }

    /// Lines accounted for; all lines of the file, or this code is wrong.
    pub(crate) fn total_lines(&self) -> usize {
        self.lines.values().sum()
    }

    /// Commands whose outcome is not known to be final.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.lines.keys().any(|(fate, _)| *fate == Fate::Unfinished)
            || self.commands.values().any(|count| count.unfinished > 0)
    }

    fn add_lines(&mut self, fate: Fate, by: &str, lines: usize) {
        if lines > 0 {
            *self.lines.entry((fate, by.to_owned())).or_default() += lines;
        }
    }

    fn add_command(&mut self, step: Step, end: &StepEnd) {
        let count = self.commands.entry(step).or_default();
        match end {
            StepEnd::Applied { replayed } => {
                count.applied += 1;
                count.replayed += usize::from(*replayed);
            }
            StepEnd::Rejected { replayed, .. } => {
                count.rejected += 1;
                count.replayed += usize::from(*replayed);
            }
            StepEnd::NotSent { .. } => count.not_sent += 1,
            StepEnd::Unfinished { .. } => count.unfinished += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Fate, Tally};
    use crate::import::{command::PlannedCommand, journey::StepEnd, plan::Plan, retail};

    fn sample() -> Plan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retail-sample.csv");
        Plan::of(&retail::read_file(&path).unwrap())
    }

    #[test]
    fn every_line_has_one_fate_whatever_becomes_of_the_orders() {
        let plan = sample();
        let mut tally = Tally::new(&plan);
        for (index, order) in plan.orders.iter().enumerate() {
            let end = match index % 3 {
                0 => StepEnd::Applied { replayed: false },
                1 => StepEnd::NotSent {
                    code: "insufficient_stock".to_owned(),
                },
                _ => StepEnd::Unfinished {
                    reason: "queued".to_owned(),
                },
            };
            let ends: Vec<_> = PlannedCommand::all_of(order)
                .iter()
                .map(|c| (c.step, end.clone()))
                .collect();
            tally.add(order, &ends);
        }
        assert_eq!(tally.total_lines(), plan.file_lines);
        assert!(tally.is_unfinished());
    }

    #[test]
    fn an_order_never_begun_keeps_its_lines_and_those_of_its_returns() {
        let plan = sample();
        let mut tally = Tally::new(&plan);
        plan.orders
            .iter()
            .for_each(|order| tally.add_unbegun(order));
        assert_eq!(tally.total_lines(), plan.file_lines);
        assert_eq!(
            tally
                .rows()
                .iter()
                .filter(|row| row.fate == Fate::Unfinished)
                .count(),
            1
        );
    }
}
