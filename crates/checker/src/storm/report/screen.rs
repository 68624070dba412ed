//! The report on one screen; what was violated comes last, where the eye ends.

use std::fmt::Write as _;

use super::{Counts, FaultReport, Report, ResizeReport, Story, VerdictReport};

/// Violations shown of each invariant; JSON has more.
const SHOWN_VIOLATIONS: usize = 3;
/// Lines of the shortest story on a screen; the history's file has all.
const SHOWN_LINES: usize = 40;

const DEBUG: &str = " This is a debug build.";

impl Report {
    /// For a terminal of 80 columns; only the lines of a history are longer.
    #[must_use]
    pub fn screen(&self) -> String {
        let took = match self.seconds {
            Some(seconds) => format!("{seconds:.1} s"),
            None => "killed".to_owned(),
        };
        let mut screen = format!(
            "Storm {}: {} clients, {took}, seed {}.{}\n\n",
            self.scenario,
            self.clients,
            self.seed,
            if self.debug_build { DEBUG } else { "" },
        );
        for (name, number, more) in self.counts.rows() {
            screen.line(&format!("{name:<12}{number:>10}  {more}"));
        }
        screen.line(&format!(
            "{:<24}seen {:.0} ms after the answer (p50), {:.0} ms (p99)",
            "", self.event_delay.p50_ms, self.event_delay.p99_ms
        ));
        let applied = self.applied.iter().map(|(kind, count)| (*kind, *count));
        // As many as fit into a line, whatever their names.
        screen.listed("applied", 3, applied);
        let rejections = self
            .rejections
            .iter()
            .map(|(code, count)| (code.as_str(), *count));
        screen.listed("rejections", 2, rejections);
        screen.line("");
        if !self.faults.is_empty() {
            screen.faults(&self.faults);
            for helped in &self.helped {
                screen.line(helped);
            }
            screen.line("");
        }
        if let Some(resizes) = &self.resizes {
            screen.resizes(resizes);
            screen.line("");
        }
        screen.line(&row("invariant", "checked", "violated"));
        for verdict in &self.verdicts {
            let (checked, violated) = (verdict.checked.to_string(), verdict.violated.to_string());
            screen.line(&row(verdict.invariant, &checked, &violated));
        }
        screen.line("");
        if self.is_clean && self.seconds.is_none() {
            screen.line("These invariants held, as far as anybody saw; the others need its end.");
        } else if self.is_clean {
            screen.line("Every invariant held.");
        } else {
            screen.line("FAILED: an invariant does not hold.");
            for verdict in &self.verdicts {
                screen.violations(verdict);
            }
            if let Some(story) = &self.smallest {
                screen.story(story);
            }
        }
        screen.truncate(screen.trim_end().len());
        screen
    }
}

impl Counts {
    fn rows(&self) -> [(&'static str, usize, String); 4] {
        [
            (
                "requests",
                self.requests,
                format!(
                    "{} without an answer, {} put off",
                    self.requests_unanswered, self.requests_put_off
                ),
            ),
            (
                "commands",
                self.commands,
                format!(
                    "{} accepted, {} unknown, {} under used keys, {} nonsense",
                    self.accepted, self.unknown, self.key_reused, self.nonsense
                ),
            ),
            (
                "outcomes",
                self.applied + self.rejected,
                format!("{} applied, {} rejected", self.applied, self.rejected),
            ),
            (
                "events",
                self.events,
                format!(
                    "of {} orders; seen {} times, {} returns, {} resets",
                    self.orders, self.sightings, self.reconnects, self.resets
                ),
            ),
        ]
    }
}

fn row(name: &str, checked: &str, violated: &str) -> String {
    format!("{name:<30}{checked:>10}{violated:>10}")
}

/// Text that grows line by line.
trait Page {
    fn line(&mut self, text: &str);

    /// What there is any of, by name.
    fn listed<'a>(
        &mut self,
        name: &str,
        in_a_line: usize,
        counts: impl Iterator<Item = (&'a str, usize)>,
    ) {
        let counts: Vec<String> = counts
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        let mut head = name;
        for some in counts.chunks(in_a_line) {
            self.line(&format!("{head:<12}{:>10}  {}", "", some.join(", ")));
            head = "";
        }
    }

    /// How long each was felt, in seconds.
    fn faults(&mut self, faults: &[FaultReport]) {
        self.line("fault                  times   lasted   all shards go on after, s");
        self.line("                               at most        half    the longest");
        for it in faults {
            let seconds = |ms: f64| ms / 1_000.0;
            self.line(&format!(
                "{:<21}{:>7}{:>9.2}{:>12.2}{:>15.2}",
                it.fault,
                it.times,
                seconds(it.lasted_ms),
                seconds(it.recovered_p50_ms),
                seconds(it.recovered_max_ms),
            ));
        }
    }

    fn resizes(&mut self, it: &ResizeReport) {
        let took = (it.took_p50_ms / 1_000.0, it.took_max_ms / 1_000.0);
        self.line(&format!(
            "{:<12}{:>10}  half took {:.1} s at most, the longest {:.1} s",
            "resizes", it.times, took.0, took.1
        ));
        self.line(&format!(
            "{:<12}{:>10}  accepted meanwhile, applied after {:.0} ms (p50),",
            "", it.commands, it.wait_p50_ms
        ));
        self.line(&format!(
            "{:<24}{:.0} ms (p99), {:.0} ms (longest); half of the clients",
            "", it.wait_p99_ms, it.wait_max_ms
        ));
        self.line(&format!(
            "{:<24}waited for no command longer than {:.0} ms",
            "", it.longest_of_clients_p50_ms
        ));
    }

    fn violations(&mut self, verdict: &VerdictReport) {
        for violation in verdict.violations.iter().take(SHOWN_VIOLATIONS) {
            let mut of = String::new();
            for (what, named) in [
                ("order", violation.order_id.map(|it| it.to_string())),
                ("key", violation.key.clone()),
                ("SKU", violation.sku.clone()),
            ] {
                if let Some(named) = named {
                    write!(of, " {what} {named}").expect("writing to a string does not fail");
                }
            }
            self.line(&format!("- {}:{of}: {}", verdict.invariant, violation.what));
        }
        if verdict.violated > SHOWN_VIOLATIONS {
            let more = verdict.violated - SHOWN_VIOLATIONS;
            self.line(&format!("- {}: {more} more", verdict.invariant));
        }
    }

    fn story(&mut self, story: &Story) {
        let invariant = story.violation.invariant.as_str();
        self.line("");
        self.line(&format!("The shortest history of them ({invariant}):"));
        for line in story.lines.iter().take(SHOWN_LINES) {
            self.line(line);
        }
        if let Some(more) = story.lines.len().checked_sub(SHOWN_LINES + 1) {
            self.line(&format!("… and {} more lines", more + 1));
        }
    }
}

impl Page for String {
    fn line(&mut self, text: &str) {
        self.push_str(text);
        self.push('\n');
    }
}
