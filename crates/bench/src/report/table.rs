//! The report for people: figures, where the CPU went, goals, and what disturbed.

use std::collections::BTreeSet;
use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::Report;
use super::goal::{Bound, Goal};
use super::stat::{Metric, Stat, cpu, stat};

/// What the words of the tables mean; the same for every contestant.
const WORDS: &str = "\
accept   from the time a request was due to its answer: Orderly's 202 (stored in a quorum queue), the direct way's 200
         (committed), a publish's confirm; with -wait, Orderly's answer with the outcome
applied  from the time a request was due until its effect was seen: Orderly's event at a subscriber of the stream (an upper
         bound of its commit), the direct way's answer
late     how late the generator sent, included in both
batch    commands of a worker's transaction; message: commands of an ingress's message
A rate is what was seen within the measured time. A wrong history makes it 0.";

/// The whole report.
pub(super) fn render(report: &Report, goals: &[Goal]) -> String {
    let mut text = String::new();
    let mut section = |title: &str, body: &str| {
        // Writing to a text cannot fail.
        writeln!(text, "\n== {title}\n{}", body.trim_end()).expect("memory takes every text");
    };
    section("settings", &settings(report));
    section(
        "figures: median (least–most) over the rounds",
        &figures(report),
    );
    section("words", WORDS);
    section("CPU, microseconds per applied command", &cpu_table(report));
    section("idle deployment, % of a core", &idle(report));
    section(
        "peak memory of the deployment over the run, MiB",
        &memory(report),
    );
    section("quiet", &quiet(report));
    section("warnings in the logs of the roles", &warnings(report));
    section("goals", &goal_table(goals));
    text
}

fn settings(report: &Report) -> String {
    let mut table = plain(&["", ""]);
    for setting in &report.settings {
        table.add_row([setting.name.as_str(), &setting.value]);
    }
    for (name, bytes) in &report.sizes {
        table.add_row([name.as_str(), &bytes.to_string()]);
    }
    table.add_row(["roles", &report.options.roles.join(", ")]);
    let options = &report.options;
    table.add_row([
        "rounds, seconds measured, seconds before",
        &format!(
            "{}, {}, {}",
            options.rounds, options.seconds, options.warm_up_seconds
        ),
    ]);
    table.to_string()
}

fn figures(report: &Report) -> String {
    let head = [
        "scenario",
        "applied/s",
        "accepted/s",
        "accept p50",
        "p99 ms",
        "applied p50",
        "p99 ms",
        "late p99",
        "refused",
        "drain ms",
        "batch",
        "message",
    ];
    let mut table = plain(&head);
    for scenario in report.samples.keys() {
        let cell = |metric, digits| {
            stat(report, scenario, metric).map_or(String::new(), |stat| spread(stat, digits))
        };
        let median = |metric, digits: usize| {
            stat(report, scenario, metric)
                .map_or(String::new(), |stat| format!("{:.digits$}", stat.median))
        };
        let measured = report.samples[scenario].iter().any(Option::is_some);
        let name = if measured {
            scenario.clone()
        } else {
            format!("{scenario} (not in this build)")
        };
        add(
            &mut table,
            [
                name,
                cell(Metric::AppliedPerSecond, 0),
                cell(Metric::AcceptedPerSecond, 0),
                median(Metric::AcceptP50, 2),
                cell(Metric::AcceptP99, 2),
                median(Metric::AppliedP50, 2),
                cell(Metric::AppliedP99, 2),
                median(Metric::LateP99, 2),
                median(Metric::Refused, 0),
                median(Metric::DrainMs, 0),
                median(Metric::PerBatch, 1),
                median(Metric::PerMessage, 1),
            ],
        );
    }
    table.to_string()
}

fn cpu_table(report: &Report) -> String {
    let by_scenario: Vec<_> = report
        .samples
        .keys()
        .map(|scenario| (scenario, cpu(report, scenario)))
        .filter(|(_, cpu)| !cpu.is_empty())
        .collect();
    let groups: BTreeSet<&str> = by_scenario
        .iter()
        .flat_map(|(_, cpu)| cpu.keys().map(String::as_str))
        .collect();
    let head: Vec<&str> = std::iter::once("scenario")
        .chain(groups.iter().copied())
        .chain(["all"])
        .collect();
    let mut table = plain(&head);
    for (scenario, cpu) in &by_scenario {
        let cells = groups.iter().map(|group| {
            cpu.get(*group)
                .map_or(String::new(), |used| format!("{used:.1}"))
        });
        let all: f64 = cpu.values().sum();
        add(
            &mut table,
            std::iter::once((*scenario).clone())
                .chain(cells)
                .chain([format!("{all:.1}")]),
        );
    }
    table.to_string()
}

fn idle(report: &Report) -> String {
    let Some(idle) = &report.idle else {
        return "not measured".to_owned();
    };
    let mut table = plain(&["process", "%"]);
    for (process, percent) in &idle.percent_of_a_core {
        add(&mut table, [process.clone(), format!("{percent:.2}")]);
    }
    table.to_string()
}

fn memory(report: &Report) -> String {
    let mut table = plain(&["process", "MiB"]);
    for (role, peak) in &report.memory {
        add(&mut table, [role.clone(), format!("{peak:.1}")]);
    }
    table.to_string()
}

fn quiet(report: &Report) -> String {
    let head = [
        "round",
        "quiet",
        "seconds",
        "others before, % of a core",
        "others during",
        "stolen",
        "spin ms",
        "slowdown",
    ];
    let mut table = plain(&head);
    for (round, found) in (1..).zip(&report.rounds) {
        let noise = &found.noise;
        let round: i32 = round;
        add(
            &mut table,
            [
                round.to_string(),
                if noise.quiet { "yes" } else { "no" }.to_owned(),
                format!("{:.0}", found.seconds),
                format!("{:.1}", noise.others_before_percent_of_a_core),
                format!("{:.1}", noise.others_during_percent_of_a_core),
                format!("{:.1}", noise.stolen_percent_of_a_core),
                format!("{:.1}", noise.spin_ms),
                format!("{:.2}", noise.spin_slowdown),
            ],
        );
    }
    table.to_string()
}

fn warnings(report: &Report) -> String {
    let mut lines = String::new();
    for (scenario, fault) in report.faults() {
        writeln!(lines, "WRONG HISTORY in {scenario}: {fault}").expect("memory takes every text");
    }
    for (warning, count) in &report.warnings {
        writeln!(lines, "{count} × {}", warning.trim_end()).expect("memory takes every text");
    }
    if lines.is_empty() {
        "none".to_owned()
    } else {
        lines
    }
}

fn goal_table(goals: &[Goal]) -> String {
    let head = [
        "goal",
        "what",
        "ours",
        "yardstick",
        "its figure",
        "ratio",
        "wanted",
        "reached",
    ];
    let mut table = plain(&head);
    for goal in goals {
        let number = |figure: Option<f64>| figure.map_or("–".to_owned(), short);
        let ratio = goal.ratio.map_or(String::new(), |ratio| spread(ratio, 2));
        let wanted = match (goal.wanted, goal.yardstick.is_empty()) {
            (Bound::AtLeast(least), false) => format!("≥ {least} ×"),
            (Bound::AtMost(most), false) => format!("≤ {most} ×"),
            (Bound::AtLeast(least), true) => format!("≥ {least}"),
            (Bound::AtMost(most), true) => format!("≤ {most}"),
            (Bound::Unmeasured, _) => "no switch for it".to_owned(),
        };
        let reached = match goal.reached {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "not measured",
        };
        add(
            &mut table,
            [
                goal.id.to_owned(),
                goal.what.clone(),
                number(goal.ours),
                goal.yardstick.clone(),
                goal.yardstick_figure.map_or(String::new(), short),
                ratio,
                wanted,
                reached.to_owned(),
            ],
        );
    }
    table.to_string()
}

fn plain(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    table
}

/// Texts to the left, figures to the right.
fn add(table: &mut Table, cells: impl IntoIterator<Item = String>) {
    let cells = cells.into_iter().enumerate().map(|(place, text)| {
        let figure = !text.contains(char::is_alphabetic);
        let cell = Cell::new(text);
        if figure && place > 0 {
            cell.set_alignment(CellAlignment::Right)
        } else {
            cell
        }
    });
    table.add_row(cells.collect::<Vec<_>>());
}

/// `median (least–most)`, or the one value there is.
fn spread(stat: Stat, digits: usize) -> String {
    let Stat { median, min, max } = stat;
    if max > min {
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    } else {
        format!("{median:.digits$}")
    }
}

/// Large figures without a fraction, small ones with two digits of it.
fn short(figure: f64) -> String {
    if figure >= 100.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.2}")
    }
}
