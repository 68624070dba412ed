//! What one run of one scenario gave.

use std::collections::{BTreeMap, HashMap};

use orderly_domain::CommandId;
use serde::Serialize;

use crate::judge::Fault;
use crate::latency::Latency;
use crate::load::{Answer, Sent, Window};
use crate::procfs::CpuSeconds;

/// Faults that are told one by one; a wrong history has thousands.
const TOLD_FAULTS: usize = 5;

/// The figures of one run of one scenario. What does not apply is absent.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) accepted_per_s: Option<f64>,
    pub(crate) applied_per_s: Option<f64>,
    /// From the time the request was due to its 2xx.
    pub(crate) accept: Option<Latency>,
    /// From the time the request was due until its outcome was seen.
    pub(crate) applied: Option<Latency>,
    /// How late requests were sent: what the generator adds to both.
    pub(crate) late: Option<Latency>,
    pub(crate) refused: usize,
    /// From the end of the load until everything accepted was seen.
    pub(crate) drain_ms: Option<f64>,
    /// Microseconds of CPU per applied command, by group of processes.
    pub(crate) cpu_us: BTreeMap<String, f64>,
    /// Commands of a worker's transaction, and of an ingress's message, on average.
    pub(crate) commands_per_batch: Option<f64>,
    pub(crate) commands_per_message: Option<f64>,
    /// Anything else that the scenario measures.
    pub(crate) other: BTreeMap<String, f64>,
    pub(crate) faults: Vec<String>,
}

impl Sample {
    /// The figures of a load. `visible` is when each command's event was seen; for the direct way the answer is the outcome.
    pub(crate) fn of_load(
        sent: &[Sent],
        window: &Window,
        visible: Option<&HashMap<CommandId, u64>>,
    ) -> Self {
        let measured = &window.measured;
        let seconds = seconds(measured.end - measured.start);
        let accepted = || sent.iter().filter(|sent| sent.answer == Answer::Accepted);
        let due = || accepted().filter(|sent| measured.contains(&sent.due));
        let applied_at = |sent: &Sent| match visible {
            None => Some(sent.answered),
            Some(visible) => visible.get(&sent.command_id).copied(),
        };
        let applied_in_time = accepted()
            .filter_map(applied_at)
            .filter(|at| measured.contains(at))
            .count();
        let answered_in_time = accepted().filter(|sent| measured.contains(&sent.answered));
        Self {
            accepted_per_s: Some(per(answered_in_time.count(), seconds)),
            applied_per_s: Some(per(applied_in_time, seconds)),
            accept: Latency::of(due().map(|sent| sent.answered - sent.due).collect()),
            applied: Latency::of(
                due()
                    .filter_map(|sent| Some(applied_at(sent)?.saturating_sub(sent.due)))
                    .collect(),
            ),
            late: Latency::of(due().map(|sent| sent.begun - sent.due).collect()),
            refused: sent.len() - accepted().count(),
            ..Self::default()
        }
    }

    /// Adds what the groups used while `applied_per_s` held for `seconds`.
    pub(crate) fn with_cpu(mut self, used: &CpuSeconds, seconds: f64) -> Self {
        let commands = self.applied_per_s.unwrap_or(0.0) * seconds;
        if commands > 0.0 {
            let each = |(name, used): (&String, &f64)| (name.clone(), used / commands * 1e6);
            self.cpu_us = used.iter().map(each).collect();
        }
        self
    }

    /// A wrong history makes every rate 0.
    pub(crate) fn judged(mut self, faults: &[Fault]) -> Self {
        if faults.is_empty() {
            return self;
        }
        self.faults = faults
            .iter()
            .take(TOLD_FAULTS)
            .map(ToString::to_string)
            .collect();
        if faults.len() > TOLD_FAULTS {
            self.faults
                .push(format!("… {} faults in all", faults.len()));
        }
        self.voided()
    }

    /// As [`Sample::judged`], with one fault in words.
    pub(crate) fn with_fault(mut self, fault: String) -> Self {
        self.faults.push(fault);
        self.voided()
    }

    fn voided(mut self) -> Self {
        self.accepted_per_s = self.accepted_per_s.map(|_| 0.0);
        self.applied_per_s = self.applied_per_s.map(|_| 0.0);
        self
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Nanoseconds as seconds.
#[allow(clippy::cast_precision_loss, reason = "2^52 ns are 52 days")]
pub(crate) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn sent(number: u128, due: u64, took: u64, answer: Answer) -> Sent {
        Sent {
            command_id: CommandId(Uuid::from_u128(number)),
            order: 0,
            due,
            begun: due + 1_000_000,
            answered: due + took,
            answer,
        }
    }

    const SECOND: u64 = 1_000_000_000;

    fn window() -> Window {
        Window {
            begin: 0,
            measured: SECOND..3 * SECOND,
        }
    }

    #[test]
    fn only_the_measured_part_counts_and_lateness_is_part_of_latency() {
        let load = [
            sent(1, 0, 5_000_000, Answer::Accepted),
            sent(2, SECOND, 2_000_000, Answer::Accepted),
            sent(3, 2 * SECOND, 4_000_000, Answer::Accepted),
            sent(4, 2 * SECOND, 4_000_000, Answer::Unknown),
            sent(5, 3 * SECOND - 1, 9_000_000, Answer::Accepted),
        ];
        let sample = Sample::of_load(&load, &window(), None);
        assert_eq!(sample.accepted_per_s, Some(1.0));
        assert_eq!(sample.refused, 1);
        let accept = sample.accept.unwrap();
        assert_eq!(accept.samples, 3);
        assert!((accept.p50_ms - 4.0).abs() < 1e-6);
        assert!((sample.late.unwrap().p99_ms - 1.0).abs() < 1e-6);
    }

    #[test]
    fn applied_counts_when_it_was_seen() {
        let load = [
            sent(1, SECOND, 1, Answer::Accepted),
            sent(2, 2 * SECOND, 1, Answer::Accepted),
        ];
        let visible = HashMap::from([
            (load[0].command_id, SECOND + 7_000_000),
            (load[1].command_id, 4 * SECOND),
        ]);
        let sample = Sample::of_load(&load, &window(), Some(&visible));
        assert_eq!(
            (sample.accepted_per_s, sample.applied_per_s),
            (Some(1.0), Some(0.5))
        );
        assert!((sample.applied.unwrap().p50_ms - 7.0).abs() < 1e-6);
    }

    #[test]
    fn a_wrong_history_is_worth_nothing() {
        let load = [sent(1, SECOND, 1, Answer::Accepted)];
        let sample = Sample::of_load(&load, &window(), None);
        let fault = Fault::Lost {
            command_id: load[0].command_id,
        };
        let judged = sample.judged(&vec![fault; 9]);
        assert_eq!(
            (judged.accepted_per_s, judged.applied_per_s),
            (Some(0.0), Some(0.0))
        );
        assert_eq!(judged.faults.len(), TOLD_FAULTS + 1);
    }
}
