//! Medians over rounds, and ratios of what was measured in the same round.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;
use crate::sample::Sample;

/// Median, least and most over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Stat {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Stat {
    /// `None` without any value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values
            .into_iter()
            .filter(|value| value.is_finite())
            .collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }
}

/// One figure of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    AcceptedPerSecond,
    AppliedPerSecond,
    AcceptP50,
    AcceptP99,
    AppliedP50,
    AppliedP99,
    LateP99,
    Refused,
    DrainMs,
    PerBatch,
    PerMessage,
}

impl Metric {
    pub(crate) const ALL: [Self; 11] = [
        Self::AcceptedPerSecond,
        Self::AppliedPerSecond,
        Self::AcceptP50,
        Self::AcceptP99,
        Self::AppliedP50,
        Self::AppliedP99,
        Self::LateP99,
        Self::Refused,
        Self::DrainMs,
        Self::PerBatch,
        Self::PerMessage,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AcceptedPerSecond => "accepted_per_s",
            Self::AppliedPerSecond => "applied_per_s",
            Self::AcceptP50 => "accept_p50_ms",
            Self::AcceptP99 => "accept_p99_ms",
            Self::AppliedP50 => "applied_p50_ms",
            Self::AppliedP99 => "applied_p99_ms",
            Self::LateP99 => "late_p99_ms",
            Self::Refused => "refused",
            Self::DrainMs => "drain_ms",
            Self::PerBatch => "commands_per_batch",
            Self::PerMessage => "commands_per_message",
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::AcceptedPerSecond => sample.accepted_per_s,
            Self::AppliedPerSecond => sample.applied_per_s,
            Self::AcceptP50 => sample.accept.map(|latency| latency.p50_ms),
            Self::AcceptP99 => sample.accept.map(|latency| latency.p99_ms),
            Self::AppliedP50 => sample.applied.map(|latency| latency.p50_ms),
            Self::AppliedP99 => sample.applied.map(|latency| latency.p99_ms),
            Self::LateP99 => sample.late.map(|latency| latency.p99_ms),
            Self::Refused => Some(sample.refused as f64),
            Self::DrainMs => sample.drain_ms,
            Self::PerBatch => sample.commands_per_batch,
            Self::PerMessage => sample.commands_per_message,
        }
    }
}

/// A figure of a scenario over the rounds.
pub(crate) fn stat(report: &Report, scenario: &str, metric: Metric) -> Option<Stat> {
    let samples = report.samples.get(scenario)?.iter().flatten();
    Stat::of(samples.filter_map(|sample| metric.of(sample)))
}

/// Every figure of a scenario over the rounds.
pub(crate) fn summary(report: &Report, scenario: &str) -> BTreeMap<&'static str, Stat> {
    let stats = Metric::ALL
        .into_iter()
        .filter_map(|metric| Some((metric.name(), stat(report, scenario, metric)?)));
    stats.collect()
}

/// A figure against another, round by round.
pub(crate) fn ratio(
    report: &Report,
    (ours, metric): (&str, Metric),
    (yardstick, of_yardstick): (&str, Metric),
) -> Option<Stat> {
    let (ours, yardstick) = (report.samples.get(ours)?, report.samples.get(yardstick)?);
    let pairs = ours.iter().zip(yardstick);
    Stat::of(pairs.filter_map(|(ours, yardstick)| {
        let yardstick = of_yardstick.of(yardstick.as_ref()?)?;
        Some(metric.of(ours.as_ref()?)? / yardstick)
    }))
}

/// CPU of a scenario by group: medians over the rounds.
pub(crate) fn cpu(report: &Report, scenario: &str) -> BTreeMap<String, f64> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for sample in report.samples.get(scenario).into_iter().flatten().flatten() {
        for (group, cpu) in &sample.cpu_us {
            values.entry(group.clone()).or_default().push(*cpu);
        }
    }
    values
        .into_iter()
        .filter_map(|(group, values)| Some((group, Stat::of(values)?.median)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let odd = Stat::of([9.0, 1.0, 4.0]).unwrap();
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 4.0, 9.0));
        assert!((Stat::of([1.0, 2.0]).unwrap().median - 1.5).abs() < 1e-9);
        assert_eq!(Stat::of([f64::NAN]), None);
    }
}
