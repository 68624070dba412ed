//! A soak as charts of text: each line of it a series, each column a stretch of time.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Slice, as_figure};

/// Columns of a chart; a sample of ten seconds each at twenty minutes would be too wide for a page.
const COLUMNS: usize = 60;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A line for each series: its chart, from 0 to its largest, and the medians of its second and its last quarter. The first
/// quarter is left out of that: pools, caches and plans are still being filled.
pub(super) fn draw(slices: &[Slice]) -> String {
    let of_latency = |pick: fn(&crate::latency::Latency) -> f64| {
        move |slice: &Slice| slice.applied.as_ref().map_or(0.0, pick)
    };
    let mut text = String::new();
    line(&mut text, "applied/s", slices, |slice| slice.applied_per_s);
    line(
        &mut text,
        "applied p50 ms",
        slices,
        of_latency(|l| l.p50_ms),
    );
    line(
        &mut text,
        "applied p99 ms",
        slices,
        of_latency(|l| l.p99_ms),
    );
    let names: BTreeSet<&String> = slices.iter().flat_map(|it| it.memory_mib.keys()).collect();
    for name in names {
        let title = format!("{name} MiB");
        line(&mut text, &title, slices, |slice| {
            slice.memory_mib.get(name).copied().unwrap_or(0.0)
        });
    }
    text
}

fn line(text: &mut String, title: &str, slices: &[Slice], of: impl Fn(&Slice) -> f64) {
    let series: Vec<f64> = slices.iter().map(of).collect();
    let quarter = series.len() / 4;
    let early = median(&series[quarter..2 * quarter]);
    let late = median(&series[series.len() - quarter..]);
    writeln!(
        text,
        "{title:<15} {} max {:>7} second quarter {:>7} last quarter {:>7}",
        chart(&series),
        figure(series.iter().copied().fold(0.0, f64::max)),
        figure(early),
        figure(late),
    )
    .expect("memory takes every text");
}

/// One bar a column, each the mean of its samples.
fn chart(series: &[f64]) -> String {
    let most = series.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let columns = series.len().min(COLUMNS);
    let bar = |column: usize| {
        let part = &series[column * series.len() / columns..(column + 1) * series.len() / columns];
        let mean = part.iter().sum::<f64>() / as_figure(part.len());
        let step = BARS
            .iter()
            .enumerate()
            .find(|(place, _)| mean <= most * as_figure(place + 1) / 8.0);
        step.map_or(BARS[7], |(_, bar)| *bar)
    };
    (0..columns).map(bar).collect()
}

/// 0 without any.
fn median(part: &[f64]) -> f64 {
    let mut sorted = part.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn figure(figure: f64) -> String {
    let digits = usize::from(figure < 100.0);
    format!("{figure:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_goes_from_nothing_to_the_largest() {
        assert_eq!(chart(&[0.0, 1.0, 4.0, 8.0]), "▁▁▄█");
        let long: Vec<f64> = (0..600).map(|_| 1.0).collect();
        assert_eq!(chart(&long), "█".repeat(COLUMNS));
    }

    #[test]
    fn the_middle_of_what_is_there_is_told() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }
}
