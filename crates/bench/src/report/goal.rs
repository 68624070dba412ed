//! What the figures are worth: each goal with its yardstick of the same run.

use serde::Serialize;

use super::Report;
use super::stat::{Metric, Stat, ratio, stat};

/// Measured elsewhere, on this kind of machine, and quoted: the best of the queues that people use.
const QUEUE_PEER_HOT: (&str, f64) = ("graphile-worker, hot order", 790.0);
const QUEUE_PEER_UNIFORM: (&str, f64) = ("BullMQ on Redis with fsync, uniform", 1_280.0);

/// Shards of a default layout, each of which may cost a worker 2 MiB.
const SHARDS: f64 = 16.0;

/// One goal and what became of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) yardstick: String,
    /// Medians.
    pub(crate) yardstick_figure: Option<f64>,
    pub(crate) ours: Option<f64>,
    /// Of the two, round by round.
    pub(crate) ratio: Option<Stat>,
    pub(crate) wanted: Bound,
    /// None where something was not measured.
    pub(crate) reached: Option<bool>,
}

/// What a ratio, or where there is no yardstick a figure, should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Cannot be measured with this build.
    Unmeasured,
}

impl Bound {
    fn holds(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(figure >= least),
            Self::AtMost(most) => Some(figure <= most),
            Self::Unmeasured => None,
        }
    }
}

/// All goals that this bench measures, in order.
pub(crate) fn goals(report: &Report) -> Vec<Goal> {
    let mut goals = against_direct(report);
    goals.extend(against_publish(report));
    goals.extend(against_postgres(report));
    goals.extend(cold(report));
    goals.extend(resources(report));
    goals.extend(elsewhere(report));
    goals
}

/// A goal as a ratio to a yardstick of the same round.
fn against(
    report: &Report,
    (id, what): (&'static str, &str),
    ours: (&str, Metric),
    yardstick: (&str, Metric),
    wanted: Bound,
) -> Goal {
    let ratio = ratio(report, ours, yardstick);
    Goal {
        id,
        what: what.to_owned(),
        yardstick: format!("{} {}", yardstick.0, yardstick.1.name()),
        yardstick_figure: stat(report, yardstick.0, yardstick.1).map(|stat| stat.median),
        ours: stat(report, ours.0, ours.1).map(|stat| stat.median),
        ratio,
        wanted,
        reached: ratio.and_then(|ratio| wanted.holds(ratio.median)),
    }
}

/// P1, P2, P3. The direct way's clients wait for the outcome, so the latency of P1 is taken with ours waiting too: a closed
/// loop on the 202 fills the queue as fast as it can, and then shows its length.
fn against_direct(report: &Report) -> Vec<Goal> {
    use Metric::{AcceptP99, AppliedPerSecond as Applied};
    let goal = |name, ours, yardstick, wanted| against(report, name, ours, yardstick, wanted);
    vec![
        goal(
            ("P1", "hot order, 64 connections: applied/s"),
            ("orderly/hot-64", Applied),
            ("direct/hot-64", Applied),
            Bound::AtLeast(5.0),
        ),
        goal(
            (
                "P1",
                "hot order, 64 waiting connections: p99 of the outcome, ms",
            ),
            ("orderly/hot-64-wait", AcceptP99),
            ("direct/hot-64", AcceptP99),
            Bound::AtMost(0.5),
        ),
        goal(
            ("P2", "uniform, 64 connections: applied/s"),
            ("orderly/uniform-64", Applied),
            ("direct/uniform-64", Applied),
            Bound::AtLeast(1.0),
        ),
        goal(
            ("P2", "uniform, 256 connections: applied/s"),
            ("orderly/uniform-256", Applied),
            ("direct/uniform-256", Applied),
            Bound::AtLeast(1.5),
        ),
        goal(
            ("P3", "batch endpoint: applied/s"),
            ("orderly/batch-uniform", Applied),
            ("direct/uniform-64", Applied),
            Bound::AtLeast(2.0),
        ),
    ]
}

/// P4.
fn against_publish(report: &Report) -> Vec<Goal> {
    use Metric::{AcceptP50, AcceptP99, AppliedP50, AppliedP99};
    const OURS: &str = "orderly/uniform-paced-1000";
    const HOT: &str = "orderly/hot-paced-1000";
    const BARE: &str = "publish/paced-1000";
    let goal = |what, ours, yardstick, most| {
        against(report, ("P4", what), ours, yardstick, Bound::AtMost(most))
    };
    vec![
        goal(
            "1,000/s: accept p50, ms",
            (OURS, AcceptP50),
            (BARE, AcceptP50),
            2.0,
        ),
        goal(
            "1,000/s: accept p99, ms",
            (OURS, AcceptP99),
            (BARE, AcceptP99),
            3.0,
        ),
        goal(
            "1,000/s: applied p50, ms",
            (OURS, AppliedP50),
            (BARE, AcceptP50),
            2.5,
        ),
        goal(
            "1,000/s: applied p99, ms",
            (OURS, AppliedP99),
            (BARE, AcceptP99),
            4.0,
        ),
        goal(
            "1,000/s, hot order: accept p99, ms",
            (HOT, AcceptP99),
            (OURS, AcceptP99),
            1.5,
        ),
        goal(
            "1,000/s, hot order: applied p99, ms",
            (HOT, AppliedP99),
            (OURS, AppliedP99),
            1.5,
        ),
    ]
}

/// P5. The worker always publishes events.
fn against_postgres(report: &Report) -> Vec<Goal> {
    use Metric::AppliedPerSecond as Applied;
    const ALONE: &str = "worker/uniform-128-a-message";
    let goal = |what, ours, yardstick, wanted| {
        against(
            report,
            ("P5", what),
            (ours, Applied),
            (yardstick, Applied),
            wanted,
        )
    };
    let limit = "pg-limit/uniform";
    let mut without = goal(
        "worker alone, without events",
        ALONE,
        limit,
        Bound::Unmeasured,
    );
    (without.ours, without.ratio) = (None, None);
    vec![
        goal(
            "worker alone, with events: applied/s",
            ALONE,
            limit,
            Bound::AtLeast(0.30),
        ),
        without,
        goal(
            "worker alone: hot against uniform, applied/s",
            "worker/hot-128-a-message",
            ALONE,
            Bound::AtLeast(0.80),
        ),
    ]
}

/// P7.
fn cold(report: &Report) -> Vec<Goal> {
    use Metric::AppliedPerSecond as Applied;
    let steady = ("orderly/uniform-64", Applied);
    let mut goals = vec![against(
        report,
        ("P7", "empty, never analysed database, first 5 s: applied/s"),
        ("orderly/cold-uniform-64", Applied),
        steady,
        Bound::AtLeast(0.70),
    )];
    if report.options.big {
        goals.push(against(
            report,
            ("P7", "1 M orders, 10 M events: applied/s"),
            ("orderly-big/uniform-64", Applied),
            steady,
            Bound::AtLeast(0.75),
        ));
    }
    goals
}

/// P8: figures by themselves.
fn resources(report: &Report) -> Vec<Goal> {
    let peak = |role: &str| {
        let samples = report.samples.get("orderly/cold-uniform-64")?.iter();
        let name = format!("{role} peak MiB");
        let peaks = samples
            .flatten()
            .filter_map(|sample| sample.other.get(&name));
        Stat::of(peaks.copied()).map(|peaks| peaks.max)
    };
    let plain = |what: &str, ours: Option<f64>, most: f64| {
        let wanted = Bound::AtMost(most);
        Goal {
            id: "P8",
            what: what.to_owned(),
            yardstick: String::new(),
            yardstick_figure: None,
            ours,
            ratio: None,
            wanted,
            reached: ours.and_then(|ours| wanted.holds(ours)),
        }
    };
    let idle = report.idle.as_ref();
    vec![
        plain(
            "worker with 16 shards: peak MiB",
            peak("worker"),
            64.0 + 2.0 * SHARDS,
        ),
        plain(
            "ingress with 64 connections: peak MiB",
            peak("ingress"),
            64.0,
        ),
        plain(
            "idle, Orderly's processes: % of a core",
            idle.map(|idle| idle.orderly_percent),
            1.0,
        ),
        plain(
            "idle, with PostgreSQL and RabbitMQ: % of a core",
            idle.map(|idle| idle.system_percent),
            1.0,
        ),
    ]
}

/// P10: the yardstick is quoted, not measured.
fn elsewhere(report: &Report) -> Vec<Goal> {
    let goal = |scenario: &str, (peer, figure): (&str, f64)| {
        let ours = stat(report, scenario, Metric::AppliedPerSecond);
        let ratio = ours.map(|ours| Stat {
            median: ours.median / figure,
            min: ours.min / figure,
            max: ours.max / figure,
        });
        let wanted = Bound::AtLeast(4.0);
        Goal {
            id: "P10",
            what: format!("{scenario}: applied/s"),
            yardstick: format!("{peer} (measured elsewhere)"),
            yardstick_figure: Some(figure),
            ours: ours.map(|ours| ours.median),
            ratio,
            wanted,
            reached: ratio.and_then(|ratio| wanted.holds(ratio.median)),
        }
    };
    vec![
        goal("orderly/hot-64", QUEUE_PEER_HOT),
        goal("orderly/uniform-64", QUEUE_PEER_UNIFORM),
    ]
}
