//! The result for somebody who has never seen it: 80 columns, one screen.

use super::{Report, WayReport};
use crate::race::judge::Example;

/// What every terminal has.
const COLUMNS: usize = 80;

/// Faults of Orderly on the screen; JSON has more.
const SHOWN_FAULTS: usize = 5;

const DEBUG: &str = " This is a debug build: its speed says little.";

impl Report {
    /// One screen.
    #[must_use]
    pub fn screen(&self) -> String {
        let parts = [
            Some(wrapped(&self.what_it_is())),
            Some(self.table()),
            self.example
                .as_ref()
                .map(|example| wrapped(&example.words())),
            Some(self.verdict()),
            Some(wrapped(&self.method())),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join("\n\n")
    }

    fn what_it_is(&self) -> String {
        format!(
            "{clients} clients write notes on one busy order at a time and buy the last pieces of \
             products; {repeated} % of requests are sent twice, as after a lost answer. The same load \
             ran {seconds:.1} s each way; then the data was compared with what clients were told.",
            clients = self.clients,
            repeated = self.repeated_percent,
            seconds = self.seconds_each,
        )
    }

    fn table(&self) -> String {
        let ways = [&self.naive, &self.row_locks, &self.orderly];
        let line = |name: &str, of: &dyn Fn(&WayReport) -> u64| {
            row(name, ways.map(|way| thousands(of(way))))
        };
        let size = |name, of: fn(&WayReport) -> usize| line(name, &|way| of(way) as u64);
        let mut lines = vec![
            row(
                "",
                ["naive writes", "with row locks", "Orderly"].map(str::to_owned),
            ),
            size("confirmed to clients", |way| way.confirmed),
            size("  of these, lost", |way| way.counts.lost_updates),
            size("version given twice, or missing", |way| {
                way.counts.bad_versions
            }),
            size("request carried out twice", |way| way.counts.done_twice),
            size("customer charged twice", |way| way.counts.charged_twice),
            line("pieces sold that were not there", &|way| {
                way.counts.oversold_pieces
            }),
            line("pieces miscounted as reserved", &|way| {
                way.counts.miscounted_pieces
            }),
        ];
        if ways.iter().any(|way| way.counts.unanswered > 0) {
            lines.push(size("requests that failed", |way| way.counts.unanswered));
        }
        lines.push(row(
            "confirmed per second",
            ways.map(|way| format!("{:.0}", way.confirmed_per_second)),
        ));
        lines.push(row(
            "p50 / p99 of an answer, ms",
            ways.map(|way| format!("{:.1} / {:.1}", way.p50_ms, way.p99_ms)),
        ));
        lines.join("\n")
    }

    fn verdict(&self) -> String {
        if !self.orderly_is_clean {
            let faults = self.orderly_faults.iter().take(SHOWN_FAULTS);
            let faults: Vec<String> = faults.map(|fault| format!("\n  {fault}")).collect();
            return format!(
                "Orderly FAILED: its counts must be zero.{}",
                faults.concat()
            );
        }
        let unsettled = match self.orderly_charges_unsettled {
            0 => String::new(),
            number => {
                format!(" {number} of its charges were not answered yet when this was counted.")
            }
        };
        let comparison = self.comparison();
        wrapped(&format!(
            "Orderly lost, doubled and oversold nothing. {comparison}{unsettled}"
        ))
    }

    /// About the other two, from their numbers.
    fn comparison(&self) -> &'static str {
        let locks = self.row_locks.counts;
        let locks_keep_updates =
            locks.lost_updates == 0 && locks.bad_versions == 0 && locks.oversold_pieces == 0;
        if self.naive_is_suspiciously_clean {
            "The naive writes lost nothing either, by luck or for want of load: try more --clients."
        } else if locks_keep_updates && locks.done_twice > 0 {
            "Row locks save the updates, but not the customer whose request was sent twice."
        } else if locks_keep_updates {
            "Row locks save the updates; no retry came through them this time."
        } else {
            "Row locks did not save every update: see above."
        }
    }

    fn method(&self) -> String {
        format!(
            "Naive: read, compute, write back, in a read committed transaction, straight to \
             PostgreSQL ({pool} connections). Row locks: the same, reading with `for update`. \
             Orderly: HTTP, a key for each request, its outcome awaited; a purchase is two \
             commands. No delay was added anywhere. Seed {seed}.{debug}",
            debug = if self.debug_build { DEBUG } else { "" },
            pool = self.pool_connections,
            seed = self.seed,
        )
    }
}

impl Example {
    fn words(&self) -> String {
        format!(
            "A lost update: order {order} stood at version {read} when two clients read it. One \
             added {lost} \"{lost_text}\", the other \
             {kept} \"{kept_text}\". Both were told: saved as version {made}. \
             The order has {kept}; {lost} is gone.",
            order = self.order,
            read = self.version_read,
            made = self.version_read + 1,
            lost = self.lost_note,
            lost_text = self.lost_text,
            kept = self.kept_note,
            kept_text = self.kept_text,
        )
    }
}

/// Lines of at most [`COLUMNS`], broken between words.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one from the start");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

/// Left: what; right: the three ways.
fn row(name: &str, cells: [String; 3]) -> String {
    let [naive, locked, orderly] = cells;
    format!("{name:<32}{naive:>16}{locked:>16}{orderly:>16}")
}

/// `39529` → `39,529`.
fn thousands(number: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::{Example, Report, WayReport};
    use crate::race::judge::Counts;

    fn way(counts: Counts) -> WayReport {
        WayReport {
            requests: 1_234_567,
            confirmed: 1_234_567,
            sold_out: 1_000,
            counts,
            confirmed_per_second: 12_345.67,
            p50_ms: 1_000.25,
            p99_ms: 12_345.25,
            seconds: 180.0,
        }
    }

    fn report(orderly: Counts) -> Report {
        let naive = Counts {
            lost_updates: 123_456,
            unanswered: 3,
            ..Counts::default()
        };
        Report {
            seed: u64::from(u32::MAX),
            clients: 512,
            seconds_each: 180.0,
            repeated_percent: 5,
            pool_connections: 16,
            naive: way(naive),
            row_locks: way(Counts::default()),
            orderly: way(orderly),
            example: Some(Example {
                order: 4_321,
                version_read: 99,
                lost_note: "note-432108".to_owned(),
                lost_text: "leave it with the neighbour".to_owned(),
                kept_note: "note-432109".to_owned(),
                kept_text: "gift wrap, please".to_owned(),
            }),
            orderly_is_clean: orderly.are_zero(),
            naive_is_suspiciously_clean: false,
            orderly_faults: vec!["lost: intent 7 (0193-…) was confirmed".to_owned()],
            orderly_charges_unsettled: 12,
            debug_build: true,
        }
    }

    #[test]
    fn it_fits_on_one_screen() {
        let screen = report(Counts::default()).screen();
        assert!(screen.lines().count() <= 30, "{screen}");
        for line in screen.lines() {
            assert!(
                line.chars().count() <= 80,
                "{} characters: {line}",
                line.chars().count()
            );
        }
    }

    #[test]
    fn what_orderly_did_wrong_is_named() {
        let counts = Counts {
            lost_updates: 1,
            ..Counts::default()
        };
        let screen = report(counts).screen();
        assert!(
            screen.contains("Orderly FAILED") && screen.contains("intent 7"),
            "{screen}"
        );
    }

    #[test]
    fn a_naive_way_that_lost_nothing_is_not_believed() {
        let clean = Report {
            naive_is_suspiciously_clean: true,
            ..report(Counts::default())
        };
        assert!(clean.screen().contains("by luck"));
    }
}
