//! What the race found: the numbers for programs, one screen for people.

use std::time::Duration;

use serde::Serialize;

use super::{
    Leg, Options,
    evidence::Answer,
    judge::{Counts, Example, Judgement, judge},
    naive::POOL,
    plan::REPEATED_PERCENT,
};

mod screen;

/// Faults kept for the report: a broken way has thousands of the same kind. All are counted.
const KEPT_FAULTS: usize = 1_000;

/// The result of a race.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Gives the same wishes again.
    pub seed: u64,
    /// Clients at once.
    pub clients: usize,
    /// How long each way ran.
    pub seconds_each: f64,
    /// Of 100 requests, how many were sent twice.
    pub repeated_percent: usize,
    /// Connections of the naive application.
    pub pool_connections: usize,
    /// Plain reads and writes.
    pub naive: WayReport,
    /// The same with `select … for update`.
    pub row_locks: WayReport,
    /// The same intents as commands.
    pub orderly: WayReport,
    /// One lost update of the naive writes.
    pub example: Option<Example>,
    /// Whether Orderly's counts are all zero.
    pub orderly_is_clean: bool,
    /// Whether the naive writes lost nothing, which says more about the load than about them.
    pub naive_is_suspiciously_clean: bool,
    /// What went wrong in Orderly, one line each.
    pub orderly_faults: Vec<String>,
    /// Charges through Orderly that were not answered yet when the race was judged.
    pub orderly_charges_unsettled: usize,
    /// Whether it was built without optimization: then speeds say little.
    pub debug_build: bool,
}

/// One way.
#[derive(Clone, Debug, Serialize)]
pub struct WayReport {
    /// Requests sent, the repeated ones twice.
    pub requests: usize,
    /// Wishes whose client was told at last that it is done.
    pub confirmed: usize,
    /// Wishes whose client was told at last that nothing is left.
    pub sold_out: usize,
    /// What went wrong.
    #[serde(flatten)]
    pub counts: Counts,
    /// Confirmed wishes a second.
    pub confirmed_per_second: f64,
    /// Half of the requests were answered within this.
    pub p50_ms: f64,
    /// 99 of 100 requests were answered within this.
    pub p99_ms: f64,
    /// From the first request to the last answer.
    pub seconds: f64,
}

impl Report {
    pub(super) fn new(options: &Options, limit: Duration, legs: [Leg; 3]) -> Self {
        let orderly_charges_unsettled = legs[2].evidence.unsettled;
        let [
            (naive, judged_naive),
            (row_locks, _),
            (orderly, mut judged_orderly),
        ] = legs.map(|leg| WayReport::new(&leg));
        judged_orderly.faults.truncate(KEPT_FAULTS);
        Self {
            seed: options.seed,
            clients: options.clients,
            seconds_each: limit.as_secs_f64(),
            repeated_percent: REPEATED_PERCENT,
            pool_connections: POOL,
            orderly_is_clean: orderly.counts.are_zero(),
            naive_is_suspiciously_clean: naive.counts.lost_updates == 0,
            naive,
            row_locks,
            orderly,
            example: judged_naive.example,
            orderly_faults: judged_orderly.faults,
            orderly_charges_unsettled,
            debug_build: cfg!(debug_assertions),
        }
    }
}

impl WayReport {
    fn new(leg: &Leg) -> (Self, Judgement) {
        let judgement = judge(&leg.evidence);
        let told = &leg.load.told;
        let believed = |is: fn(&Answer) -> bool| {
            let last = told.iter().filter_map(|told| told.last());
            last.filter(|answer| is(answer)).count()
        };
        let confirmed = believed(Answer::is_done);
        let seconds = leg.load.took.as_secs_f64();
        let mut latencies = leg.load.latencies.clone();
        latencies.sort_unstable();
        let report = Self {
            requests: told.iter().map(|told| told.answers.len()).sum(),
            confirmed,
            sold_out: believed(|answer| *answer == Answer::SoldOut),
            counts: judgement.counts,
            confirmed_per_second: rounded(count(confirmed) / seconds.max(f64::EPSILON)),
            p50_ms: percentile_ms(&latencies, 50),
            p99_ms: percentile_ms(&latencies, 99),
            seconds: rounded(seconds),
        };
        (report, judgement)
    }
}

/// Of sorted latencies.
fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted
        .get(index)
        .map_or(0.0, |latency| rounded(latency.as_secs_f64() * 1_000.0))
}

/// To a hundredth: more digits would claim more than was measured.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let latencies: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert!((percentile_ms(&latencies, 50) - 100.0).abs() < f64::EPSILON);
        assert!((percentile_ms(&latencies, 99) - 198.0).abs() < f64::EPSILON);
        assert!(percentile_ms(&[], 99).abs() < f64::EPSILON);
    }
}
