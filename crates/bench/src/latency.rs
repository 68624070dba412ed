//! Percentiles of latencies, by nearest rank over every sample: no histogram, so no rounding to think about.

use serde::Serialize;

/// What is told of many latencies, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) samples: usize,
}

impl Latency {
    /// Of samples in nanoseconds; `None` without any.
    pub(crate) fn of(mut nanos: Vec<u64>) -> Option<Self> {
        nanos.sort_unstable();
        let max = *nanos.last()?;
        Some(Self {
            p50_ms: millis(rank(&nanos, 50)),
            p99_ms: millis(rank(&nanos, 99)),
            max_ms: millis(max),
            samples: nanos.len(),
        })
    }
}

/// The smallest sample that at least `percent` of all do not exceed.
fn rank(sorted: &[u64], percent: usize) -> u64 {
    let place = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[place - 1]
}

#[allow(
    clippy::cast_precision_loss,
    reason = "for people to read; 2^52 ns are 52 days"
)]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latency {
        Latency::of(millis.into_iter().map(|ms| ms * 1_000_000).collect()).unwrap()
    }

    #[test]
    fn percentiles_are_samples_by_nearest_rank() {
        let hundred = of((1..=100).rev());
        assert!((hundred.p50_ms - 50.0).abs() < 1e-9);
        assert!((hundred.p99_ms - 99.0).abs() < 1e-9);
        assert!((hundred.max_ms - 100.0).abs() < 1e-9);
        let three = of([3, 1, 2]);
        assert!((three.p50_ms - 2.0).abs() < 1e-9);
        assert!((three.p99_ms - 3.0).abs() < 1e-9);
    }

    #[test]
    fn no_samples_have_no_latency() {
        assert_eq!(Latency::of(Vec::new()), None);
    }
}
