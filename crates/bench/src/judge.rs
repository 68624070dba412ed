//! Was the history right? A fast wrong answer counts as zero.
//!
//! Judges what the database holds against what senders were told. Knows nothing of how either came to be.

use std::collections::{HashMap, HashSet};
use std::fmt;

use anyhow::{Result, bail};
use orderly_domain::CommandId;
use uuid::Uuid;

use crate::load::{Answer, Sent};

#[cfg(test)]
mod tests;

/// A row of `commands`.
#[derive(Clone, Debug)]
pub(crate) struct OutcomeRow {
    pub(crate) command_id: CommandId,
    pub(crate) order_id: Uuid,
    pub(crate) applied: bool,
    pub(crate) version: i64,
}

/// A row of `events`.
#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    pub(crate) order_id: Uuid,
    pub(crate) version: i64,
    pub(crate) command_id: CommandId,
}

/// All that is known of the orders of one load.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The orders, as [`Sent::order`] counts them, each with the version of its row.
    pub(crate) orders: Vec<(Uuid, i64)>,
    /// The version at which the load found every order; what made it is not judged against senders.
    pub(crate) base: i64,
    pub(crate) sent: Vec<Sent>,
    pub(crate) outcomes: Vec<OutcomeRow>,
    pub(crate) events: Vec<EventRow>,
    /// When each command's event reached the subscriber, if there is one.
    pub(crate) visible: Option<HashMap<CommandId, u64>>,
}

/// One thing that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The events of an order are not 1, 2, 3 … up to its version.
    Gap { order_id: Uuid, version: i64 },
    /// Outcomes and events do not pair.
    Unpaired { command_id: CommandId },
    /// A command id has two outcomes.
    Twice { command_id: CommandId },
    /// An accepted command has no outcome.
    Lost { command_id: CommandId },
    /// A command that is legal in every state was not applied.
    NotApplied { command_id: CommandId },
    /// An outcome for what nobody sent, or what was refused.
    Extra { command_id: CommandId },
    /// A command came after one that was sent only after its own answer.
    Reordered {
        command_id: CommandId,
        before: CommandId,
    },
    /// The event of an applied command never reached the subscriber.
    Unpublished { command_id: CommandId },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { order_id, version } => {
                write!(
                    f,
                    "order {order_id}: the events do not count up to version {version}"
                )
            }
            Self::Unpaired { command_id } => {
                write!(f, "command {command_id}: outcome and event do not pair")
            }
            Self::Twice { command_id } => write!(f, "command {command_id}: two outcomes"),
            Self::Lost { command_id } => {
                write!(f, "command {command_id}: accepted, and no outcome")
            }
            Self::NotApplied { command_id } => write!(f, "command {command_id}: not applied"),
            Self::Extra { command_id } => {
                write!(
                    f,
                    "command {command_id}: an outcome that nobody was promised"
                )
            }
            Self::Reordered { command_id, before } => write!(
                f,
                "command {command_id}: applied after {before}, which was sent after its answer"
            ),
            Self::Unpublished { command_id } => {
                write!(f, "command {command_id}: applied, and its event never came")
            }
        }
    }
}

/// Refuses a wrong history.
pub(crate) fn ensure_right(history: &History) -> Result<()> {
    let faults = judge(history);
    if let Some(fault) = faults.first() {
        bail!("the history is wrong, {} times: {fault}", faults.len());
    }
    Ok(())
}

/// Everything that is wrong with a history.
pub(crate) fn judge(history: &History) -> Vec<Fault> {
    let mut faults = Vec::new();
    versions(history, &mut faults);
    pairs(history, &mut faults);
    promises(history, &mut faults);
    real_time_order(history, &mut faults);
    faults
}

/// The events of each order are 1 to the version of its row, each once. With [`pairs`] this is
/// commands = events = sum of versions.
fn versions(history: &History, faults: &mut Vec<Fault>) {
    let mut by_order: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for event in &history.events {
        by_order
            .entry(event.order_id)
            .or_default()
            .push(event.version);
    }
    for (order_id, version) in &history.orders {
        let mut found = by_order.remove(order_id).unwrap_or_default();
        found.sort_unstable();
        if !found.iter().copied().eq(1..=*version) {
            faults.push(Fault::Gap {
                order_id: *order_id,
                version: *version,
            });
        }
    }
    let orphans = by_order.into_keys();
    faults.extend(orphans.map(|order_id| Fault::Gap {
        order_id,
        version: 0,
    }));
}

/// Each applied outcome has one event, of its order and version; each event one outcome; each command id one of each.
fn pairs(history: &History, faults: &mut Vec<Fault>) {
    let mut events = HashMap::with_capacity(history.events.len());
    for event in &history.events {
        let place = (event.order_id, event.version);
        if events.insert(event.command_id, place).is_some() {
            faults.push(Fault::Unpaired {
                command_id: event.command_id,
            });
        }
    }
    let mut seen = HashSet::with_capacity(history.outcomes.len());
    for outcome in &history.outcomes {
        let command_id = outcome.command_id;
        if !seen.insert(command_id) {
            faults.push(Fault::Twice { command_id });
            continue;
        }
        let event = events.remove(&command_id);
        let expected = outcome
            .applied
            .then_some((outcome.order_id, outcome.version));
        if event != expected {
            faults.push(Fault::Unpaired { command_id });
        }
    }
    let rest = events.into_keys();
    faults.extend(rest.map(|command_id| Fault::Unpaired { command_id }));
}

/// Every accepted command was applied, nothing else was, and each was published.
fn promises(history: &History, faults: &mut Vec<Fault>) {
    let mut outcomes: HashMap<CommandId, &OutcomeRow> = history
        .outcomes
        .iter()
        .filter(|outcome| outcome.version > history.base || !outcome.applied)
        .map(|outcome| (outcome.command_id, outcome))
        .collect();
    for sent in &history.sent {
        let command_id = sent.command_id;
        let outcome = outcomes.remove(&command_id);
        match (sent.answer, outcome) {
            (Answer::Accepted, None) => faults.push(Fault::Lost { command_id }),
            (Answer::Refused, Some(_)) => faults.push(Fault::Extra { command_id }),
            (_, Some(outcome)) if !outcome.applied => {
                faults.push(Fault::NotApplied { command_id });
            }
            (_, Some(_)) => {
                let visible = history.visible.as_ref();
                if visible.is_some_and(|seen| !seen.contains_key(&command_id)) {
                    faults.push(Fault::Unpublished { command_id });
                }
            }
            (Answer::Refused | Answer::Unknown, None) => {}
        }
    }
    let extra = outcomes.into_keys();
    faults.extend(extra.map(|command_id| Fault::Extra { command_id }));
}

/// If one command of an order was answered before another was sent, it has the lower version; over all connections.
fn real_time_order(history: &History, faults: &mut Vec<Fault>) {
    let versions: HashMap<CommandId, i64> = history
        .outcomes
        .iter()
        .filter(|outcome| outcome.applied)
        .map(|outcome| (outcome.command_id, outcome.version))
        .collect();
    let mut lanes: Vec<Vec<(i64, &Sent)>> = vec![Vec::new(); history.orders.len()];
    for sent in &history.sent {
        if let (Answer::Accepted, Some(version)) = (sent.answer, versions.get(&sent.command_id)) {
            lanes[sent.order].push((*version, sent));
        }
    }
    for lane in &mut lanes {
        lane.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
        // From the newest version down: of what came later, the earliest answer.
        let mut first_answered: Option<&Sent> = None;
        for (_, sent) in lane.iter() {
            match first_answered {
                Some(later) if later.answered < sent.begun => faults.push(Fault::Reordered {
                    command_id: later.command_id,
                    before: sent.command_id,
                }),
                _ => {}
            }
            if first_answered.is_none_or(|later| sent.answered < later.answered) {
                first_answered = Some(sent);
            }
        }
    }
}
