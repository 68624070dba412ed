//! Was it right? Compares a history with what Orderly promises, one invariant after the other. Pure: a history in, verdicts out.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use uuid::Uuid;

mod batch;
mod key;
mod order;
mod outcome;
mod recovery;
mod stock;
mod stream;

use super::history::{Event, History, Only, Sent};

/// What must hold, whatever was killed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// Every accepted command has exactly one final outcome, the one that its sender was told.
    AcceptedHasOneOutcome,
    /// What was sent after another's acceptance comes after it.
    RealTimeOrder,
    /// Every order behaved as if its commands came one after the other.
    Linearizable,
    /// A batch's lines of one order come in their order, and none behind one that was not accepted.
    BatchInOrder,
    /// Versions are 1, 2, 3 and so on.
    VersionsWithoutGap,
    /// Every event has a command that somebody sent; every applied command has its event, also in the stream.
    EventsMatchCommands,
    /// Every piece is accounted for, and none was promised twice.
    StockConserved,
    /// An idempotency key did one thing at most.
    OneEffectPerKey,
    /// All subscribers saw the same, and it is what the API shows.
    SubscribersAgree,
    /// Whatever was done, every shard went on by itself.
    RecoversByItself,
}

/// What a run tolerates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Whether a command may wait in its order's lane in the end.
    pub parked_is_allowed: bool,
}

/// One thing that must not be, and whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What does not hold.
    pub invariant: Invariant,
    /// The order, if it is one order's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// The command's idempotency key, if it is one command's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The product, if it is one product's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// In words.
    pub what: String,
}

/// One invariant over the whole history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Which.
    pub invariant: Invariant,
    /// How many commands, events, orders or products it was checked on: one that saw nothing proves nothing.
    pub checked: usize,
    /// Where it does not hold.
    pub violations: Vec<Violation>,
}

impl Invariant {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AcceptedHasOneOutcome => "accepted-has-one-outcome",
            Self::RealTimeOrder => "real-time-order",
            Self::Linearizable => "linearizable",
            Self::BatchInOrder => "batch-in-order",
            Self::VersionsWithoutGap => "versions-without-gap",
            Self::EventsMatchCommands => "events-match-commands",
            Self::StockConserved => "stock-conserved",
            Self::OneEffectPerKey => "one-effect-per-key",
            Self::SubscribersAgree => "subscribers-agree",
            Self::RecoversByItself => "recovers-by-itself",
        }
    }
}

impl<'a> From<&'a Violation> for Only<'a> {
    /// The part of a history that tells of it.
    fn from(violation: &'a Violation) -> Self {
        Self {
            order: violation.order_id,
            key: violation.key.as_deref(),
            sku: violation.sku.as_deref(),
        }
    }
}

/// Every invariant.
#[must_use]
pub(super) fn judge(history: &History, rules: Rules) -> Vec<Verdict> {
    let index = Index::new(history);
    let mut verdicts = vec![
        outcome::accepted_has_one_outcome(&index, rules),
        order::real_time_order(&index),
        order::linearizable(&index),
        order::versions_without_gap(&index),
        outcome::events_match_commands(&index),
        stock::conserved(&index),
        key::one_effect_per_key(&index),
        stream::subscribers_agree(&index),
    ];
    verdicts.extend(batch::batch_in_order(&index));
    if !history.recoveries.is_empty() || !history.resizes.is_empty() {
        verdicts.push(recovery::recovers_by_itself(history));
    }
    verdicts
}

/// Those that can be told of a storm that was killed: of what was under way then nobody knows what became.
pub(super) fn judge_what_was_seen(history: &History) -> Vec<Verdict> {
    let index = Index::new(history);
    let mut verdicts = vec![
        order::real_time_order(&index),
        order::linearizable(&index),
        key::one_effect_per_key(&index),
    ];
    verdicts.extend(batch::batch_in_order(&index));
    verdicts
}

/// A history, and the ways through it.
struct Index<'a> {
    history: &'a History,
    by_command: HashMap<Uuid, Vec<&'a Event>>,
    by_mark: HashMap<&'a str, Vec<&'a Event>>,
    by_order: BTreeMap<Uuid, Vec<&'a Sent>>,
}

impl<'a> Index<'a> {
    fn new(history: &'a History) -> Self {
        let mut index = Self {
            history,
            by_command: HashMap::new(),
            by_mark: HashMap::new(),
            by_order: BTreeMap::new(),
        };
        for event in history.orders.values().flat_map(|it| &it.events) {
            let of_command = index.by_command.entry(event.command_id).or_default();
            of_command.push(event);
            if let Some(mark) = event.mark() {
                index.by_mark.entry(mark).or_default().push(event);
            }
        }
        for sent in &history.commands {
            index.by_order.entry(sent.order).or_default().push(sent);
        }
        index
    }

    /// The recorded events of a command: by its mark where its event has one, so that no id of the server's is trusted.
    fn effects(&self, sent: &Sent) -> Vec<&'a Event> {
        if sent.action.kind().is_marked() {
            return self
                .by_mark
                .get(sent.mark.as_str())
                .cloned()
                .unwrap_or_default();
        }
        let ids = sent.command_ids();
        let events = ids.iter().filter_map(|id| self.by_command.get(id));
        // Under a key that was used for two things, one id is both's.
        let name = sent.action.kind().event_name();
        let its = |it: &&&Event| it.order == sent.order && it.name == name;
        events.flatten().filter(its).copied().collect()
    }
}

/// Collects what one invariant finds.
struct Finding {
    verdict: Verdict,
}

impl Finding {
    fn of(invariant: Invariant) -> Self {
        Self {
            verdict: Verdict {
                invariant,
                checked: 0,
                violations: Vec::new(),
            },
        }
    }

    fn checked(&mut self) {
        self.verdict.checked += 1;
    }

    fn command(&mut self, sent: &Sent, what: String) {
        self.add(Some(sent.order), Some(&sent.key), None, what);
    }

    fn order(&mut self, order: Uuid, what: String) {
        self.add(Some(order), None, None, what);
    }

    fn product(&mut self, sku: &str, what: String) {
        self.add(None, None, Some(sku), what);
    }

    fn deployment(&mut self, what: String) {
        self.add(None, None, None, what);
    }

    fn add(&mut self, order_id: Option<Uuid>, key: Option<&str>, sku: Option<&str>, what: String) {
        self.verdict.violations.push(Violation {
            invariant: self.verdict.invariant,
            order_id,
            key: key.map(str::to_owned),
            sku: sku.map(str::to_owned),
            what,
        });
    }
}

#[cfg(test)]
mod tests;
