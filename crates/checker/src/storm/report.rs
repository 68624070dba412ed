//! What a storm found: the numbers for programs, one screen for people.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Serialize;
use uuid::Uuid;

use super::{
    fault::Fault,
    history::{Answer, Head, History, Micros, Outcome, Recovery, Sent},
    judge::{Verdict, Violation},
    suffering::STARTED_ANEW,
};

mod resize;
mod screen;

use resize::ResizeReport;

/// Violations kept for each invariant: what is broken is broken a thousand times. All are counted.
const KEPT_VIOLATIONS: usize = 50;

/// The result of a storm.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What clients wanted.
    pub scenario: String,
    /// Gives the same wishes again.
    pub seed: u64,
    /// Clients at once.
    pub clients: usize,
    /// From the start until the last client was done; none of a storm that was killed.
    pub seconds: Option<f64>,
    /// Whether every invariant held that could be judged.
    pub is_clean: bool,
    /// What was sent and what came of it.
    pub counts: Counts,
    /// How long after its answer an event was seen.
    pub event_delay: Delay,
    /// Applied commands by type.
    pub applied: BTreeMap<&'static str, usize>,
    /// Rejected commands by code.
    pub rejections: BTreeMap<String, usize>,
    /// What was done, and how long it was felt; first a look at every shard when nothing was wrong.
    pub faults: Vec<FaultReport>,
    /// Brokers that had to be helped, and when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub helped: Vec<String>,
    /// How long the number of shards took to change, and what was felt of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resizes: Option<ResizeReport>,
    /// The invariants.
    pub verdicts: Vec<VerdictReport>,
    /// The lines of the violation with the shortest story.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest: Option<Story>,
    /// Whether it was built without optimization: then it says less about a release.
    pub debug_build: bool,
}

/// One kind of fault.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FaultReport {
    /// Its name; `none` for the look when nothing was wrong.
    pub fault: &'static str,
    /// How often it was done.
    pub times: usize,
    /// Longest that something was wrong: until a process or server ran again, a link was mended, a lock let go.
    pub lasted_ms: f64,
    /// From its beginning until every shard had applied a command sent after that: half took no longer.
    pub recovered_p50_ms: f64,
    /// The longest.
    pub recovered_max_ms: f64,
}

/// From the answer that a command was applied until a subscriber saw its event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Delay {
    /// Half were seen within this.
    pub p50_ms: f64,
    /// 99 of 100 were seen within this.
    pub p99_ms: f64,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests, every attempt.
    pub requests: usize,
    /// Requests that nobody answered, or that the client hung up on.
    pub requests_unanswered: usize,
    /// Requests that were answered with a plea for patience.
    pub requests_put_off: usize,
    /// Things that clients wanted.
    pub commands: usize,
    /// Those that Orderly accepted.
    pub accepted: usize,
    /// Those that were applied.
    pub applied: usize,
    /// Those that were rejected.
    pub rejected: usize,
    /// Those of which the client never knew.
    pub unknown: usize,
    /// Those that were refused because their key was used before.
    pub key_reused: usize,
    /// Those that no Orderly may accept, and that none did.
    pub nonsense: usize,
    /// Orders.
    pub orders: usize,
    /// Events on record.
    pub events: usize,
    /// Events that subscribers saw, repetitions included.
    pub sightings: usize,
    /// How often a subscriber came back with `Last-Event-ID`.
    pub reconnects: u32,
    /// How often a subscriber was told that events are missing.
    pub resets: u32,
}

/// One invariant.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictReport {
    /// Its name.
    pub invariant: &'static str,
    /// On how many commands, events, orders or products it was checked.
    pub checked: usize,
    /// How often it does not hold.
    pub violated: usize,
    /// The first of those.
    pub violations: Vec<Violation>,
}

/// One violation and the part of the history that it is about.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// What does not hold.
    pub violation: Violation,
    /// The history of its command, order or product, as in the history's file.
    pub lines: Vec<String>,
}

impl Report {
    pub(super) fn new(
        head: &Head,
        seconds: Option<f64>,
        history: &History,
        verdicts: Vec<Verdict>,
    ) -> Self {
        let mut rejections: BTreeMap<String, usize> = BTreeMap::new();
        let mut applied: BTreeMap<&'static str, usize> = BTreeMap::new();
        for sent in &history.commands {
            match &sent.outcome {
                Some(Outcome::Rejected { code, .. }) => {
                    *rejections.entry(code.clone()).or_default() += 1;
                }
                Some(Outcome::Applied { .. }) => {
                    *applied.entry(sent.action.kind().as_str()).or_default() += 1;
                }
                _ => {}
            }
        }
        Self {
            scenario: head.scenario.clone(),
            seed: head.seed,
            clients: head.clients,
            seconds,
            is_clean: verdicts.iter().all(|it| it.violations.is_empty()),
            counts: Counts::of(history),
            event_delay: Delay::of(history),
            applied,
            rejections,
            faults: FaultReport::of(history),
            helped: helped(history),
            resizes: ResizeReport::of(history),
            smallest: smallest(history, &verdicts),
            verdicts: verdicts.into_iter().map(VerdictReport::from).collect(),
            debug_build: cfg!(debug_assertions),
        }
    }
}

impl FaultReport {
    fn of(history: &History) -> Vec<Self> {
        let mut by_fault: BTreeMap<Option<Fault>, Vec<&Recovery>> = BTreeMap::new();
        for it in &history.recoveries {
            by_fault.entry(it.fault).or_default().push(it);
        }
        let reports = by_fault.into_iter().map(|(fault, times)| {
            let sorted = |ends: fn(&Recovery) -> Option<Micros>| {
                let took = times.iter().filter_map(|it| Some(ends(it)? - it.began));
                let mut took: Vec<Micros> = took.collect();
                took.sort_unstable();
                took
            };
            let recovered = sorted(|it| it.recovered);
            Self {
                fault: fault.map_or("none", Fault::as_str),
                times: times.len(),
                lasted_ms: percentile_ms(&sorted(|it| Some(it.ended)), 100),
                recovered_p50_ms: percentile_ms(&recovered, 50),
                recovered_max_ms: percentile_ms(&recovered, 100),
            }
        });
        reports.collect()
    }
}

impl Counts {
    fn of(history: &History) -> Self {
        let commands = &history.commands;
        let attempts = || commands.iter().flat_map(|it| &it.attempts);
        let answered = |is: fn(&Answer) -> bool| attempts().filter(|it| is(&it.answer)).count();
        let wanted = |is: fn(&Sent) -> bool| commands.iter().filter(|it| is(it)).count();
        let streams = &history.streams;
        Self {
            requests: attempts().count(),
            requests_unanswered: answered(|it| matches!(it, Answer::Lost { .. })),
            requests_put_off: answered(|it| matches!(it, Answer::Unavailable { .. })),
            commands: commands.len(),
            accepted: wanted(Sent::is_accepted),
            applied: wanted(|it| matches!(it.outcome, Some(Outcome::Applied { .. }))),
            rejected: wanted(|it| matches!(it.outcome, Some(Outcome::Rejected { .. }))),
            unknown: wanted(|it| !it.is_accepted() && !it.is_refused()),
            key_reused: wanted(|it| {
                let is_refused = it.is_refused() && !it.action.is_nonsense();
                is_refused || it.outcome == Some(Outcome::KeyReused)
            }),
            nonsense: wanted(|it| it.is_refused() && it.action.is_nonsense()),
            orders: history.orders.len(),
            events: history.orders.values().map(|it| it.events.len()).sum(),
            sightings: streams.iter().map(|it| it.sightings.len()).sum(),
            reconnects: streams.iter().map(|it| it.reconnects).sum(),
            resets: streams.iter().map(|it| it.resets).sum(),
        }
    }
}

impl Delay {
    fn of(history: &History) -> Self {
        let seen = first_seen(history);
        let answers = history.commands.iter().flat_map(|sent| {
            let attempts = sent.attempts.iter();
            attempts.map(|attempt| (sent.order, attempt))
        });
        let delays = answers.filter_map(|(order, attempt)| match attempt.answer {
            Answer::Applied { version, .. } => {
                Some(seen.get(&(order, version))?.saturating_sub(attempt.ended))
            }
            _ => None,
        });
        let mut delays: Vec<Micros> = delays.collect();
        delays.sort_unstable();
        Self {
            p50_ms: percentile_ms(&delays, 50),
            p99_ms: percentile_ms(&delays, 99),
        }
    }
}

/// What was done as the runbook has it.
fn helped(history: &History) -> Vec<String> {
    let notes = history.faults.iter();
    let helped = notes.filter(|it| it.what.ends_with(STARTED_ANEW));
    helped
        .map(|it| format!("{} at {} s", it.what, it.at / 1_000_000))
        .collect()
}

/// When a subscriber first saw each event.
fn first_seen(history: &History) -> HashMap<(Uuid, u64), Micros> {
    let mut seen: HashMap<(Uuid, u64), Micros> = HashMap::new();
    for sighting in history.streams.iter().flat_map(|it| &it.sightings) {
        let event = &sighting.event;
        let first = seen
            .entry((event.order, event.version))
            .or_insert(sighting.at);
        *first = sighting.at.min(*first);
    }
    seen
}

/// Of sorted times.
fn percentile_ms(sorted: &[Micros], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    let delay = sorted.get(index).copied().unwrap_or_default();
    Duration::from_micros(delay).as_secs_f64() * 1_000.0
}

/// Of each invariant's violations those whose stories are told, to find the shortest: each is a walk through all of the history.
const STORIES: usize = 5;

/// The violation with the fewest lines: what a person can read to its end.
fn smallest(history: &History, verdicts: &[Verdict]) -> Option<Story> {
    let kept = verdicts
        .iter()
        .flat_map(|it| it.violations.iter().take(STORIES));
    let stories = kept.map(|violation| Story {
        lines: history.lines_of(violation.into()),
        violation: violation.clone(),
    });
    stories.min_by_key(|story| story.lines.len())
}

impl From<Verdict> for VerdictReport {
    fn from(verdict: Verdict) -> Self {
        let mut violations = verdict.violations;
        let violated = violations.len();
        violations.truncate(KEPT_VIOLATIONS);
        Self {
            invariant: verdict.invariant.as_str(),
            checked: verdict.checked,
            violated,
            violations,
        }
    }
}
