//! How long the number of shards took to change, and how long commands waited meanwhile.

use std::collections::HashMap;

use serde::Serialize;

use super::{first_seen, percentile_ms};
use crate::storm::history::{Answer, History, Micros, Outcome, Sent};

/// All resizes of a storm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ResizeReport {
    /// How often it was done.
    pub times: usize,
    /// From 202 until none was under way: half took no longer.
    pub took_p50_ms: f64,
    /// The longest.
    pub took_max_ms: f64,
    /// Commands accepted while one was under way, and applied.
    pub commands: usize,
    /// From their acceptance until they were known to be applied: half waited no longer.
    pub wait_p50_ms: f64,
    /// 99 of 100 waited no longer.
    pub wait_p99_ms: f64,
    /// The longest.
    pub wait_max_ms: f64,
    /// Each client's longest wait for one command: half of the clients waited no longer.
    pub longest_of_clients_p50_ms: f64,
}

impl ResizeReport {
    /// None without resizes.
    pub(super) fn of(history: &History) -> Option<Self> {
        if history.resizes.is_empty() {
            return None;
        }
        let resizes = history.resizes.iter();
        let took = sorted(resizes.filter_map(|it| Some(it.ended? - it.began)));
        let mut waits = Vec::new();
        let mut longest: HashMap<&str, Micros> = HashMap::new();
        let seen = first_seen(history);
        for sent in &history.commands {
            let Some((began, ended)) = wait(sent, |version| seen.get(&(sent.order, version)))
            else {
                continue;
            };
            let is_within = history
                .resizes
                .iter()
                .any(|it| it.began <= began && it.ended.is_none_or(|ended| began <= ended));
            if is_within {
                let waited = ended.saturating_sub(began);
                waits.push(waited);
                let client = sent.mark.split_once('-').map_or("", |(client, _)| client);
                let longest = longest.entry(client).or_default();
                *longest = waited.max(*longest);
            }
        }
        let waits = sorted(waits.into_iter());
        Some(Self {
            times: took.len(),
            took_p50_ms: percentile_ms(&took, 50),
            took_max_ms: percentile_ms(&took, 100),
            commands: waits.len(),
            wait_p50_ms: percentile_ms(&waits, 50),
            wait_p99_ms: percentile_ms(&waits, 99),
            wait_max_ms: percentile_ms(&waits, 100),
            longest_of_clients_p50_ms: percentile_ms(&sorted(longest.into_values()), 50),
        })
    }
}

/// From its acceptance (of a request that awaited its outcome nobody knows when that was: from its beginning) until its event
/// was seen or its sender was told.
fn wait<'a>(sent: &Sent, seen: impl FnOnce(u64) -> Option<&'a Micros>) -> Option<(Micros, Micros)> {
    let Some(Outcome::Applied { version }) = sent.outcome else {
        return None;
    };
    let attempts = sent.attempts.iter();
    let accepted = attempts.clone().filter_map(|it| match it.answer {
        Answer::Accepted { .. } => Some(it.ended),
        Answer::Applied { .. } => Some(it.began),
        _ => None,
    });
    let told = attempts.filter(|it| matches!(it.answer, Answer::Applied { .. }));
    let told = told.map(|it| it.ended).min();
    let known = told.into_iter().chain(seen(version).copied()).min();
    Some((accepted.min()?, known?))
}

fn sorted(times: impl Iterator<Item = Micros>) -> Vec<Micros> {
    let mut times: Vec<Micros> = times.collect();
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::storm::history::{Action, Attempt, Resized};

    /// Of client 1, applied as version 1 of its order; answered between these moments.
    fn sent(number: u128, client: &str, (began, ended): (Micros, Micros), waited: bool) -> Sent {
        let (command_id, location) = (Uuid::nil(), String::new());
        let answer = if waited {
            Answer::Applied {
                command_id,
                version: 1,
                location,
            }
        } else {
            Answer::Accepted {
                command_id,
                location,
            }
        };
        Sent {
            key: String::new(),
            mark: format!("{client}-{number}"),
            order: Uuid::from_u128(number),
            action: Action::Release,
            expected_version: None,
            batch: None,
            attempts: vec![Attempt {
                began,
                ended,
                answer,
            }],
            given_up: false,
            outcome: Some(Outcome::Applied { version: 1 }),
        }
    }

    #[test]
    fn a_wait_is_from_the_acceptance_until_anybody_knew_and_counts_only_during_a_resize() {
        let mut history = History {
            commands: vec![
                // Nobody saw its event: not counted.
                sent(1, "c1", (1_100, 1_200), false),
                sent(2, "c1", (1_100, 4_100), true),
                sent(3, "c2", (1_000, 1_999), true),
                // Before it.
                sent(4, "c2", (900, 9_000), true),
            ],
            ..History::default()
        };
        assert_eq!(ResizeReport::of(&history), None);
        history.resizes = vec![Resized {
            began: 1_000,
            ended: Some(5_000),
            from: 1,
            to: 2,
            took_effect: true,
        }];
        let report = ResizeReport::of(&history).unwrap();
        assert_eq!((report.times, report.commands), (1, 2));
        assert!((report.took_max_ms - 4.0).abs() < 1e-9, "{report:?}");
        assert!((report.wait_p50_ms - 0.999).abs() < 1e-9, "{report:?}");
        assert!((report.wait_max_ms - 3.0).abs() < 1e-9, "{report:?}");
        let client = report.longest_of_clients_p50_ms;
        assert!((client - 0.999).abs() < 1e-9, "{report:?}");
    }
}
