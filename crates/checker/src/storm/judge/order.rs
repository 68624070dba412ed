//! One order at a time: its versions, its order in real time, and whether a sequence of commands explains it.

use uuid::Uuid;

use super::{Finding, Index, Invariant, Verdict};
use crate::storm::{
    history::{Account, Action, Micros, Outcome, Sent},
    model::{Model, refusal},
};

pub(super) fn versions_without_gap(index: &Index<'_>) -> Verdict {
    let mut finding = Finding::of(Invariant::VersionsWithoutGap);
    for (order, account) in &index.history.orders {
        finding.checked();
        if !is_contiguous(account) {
            let versions: Vec<u64> = account.events.iter().map(|it| it.version).collect();
            let what = format!("the versions of its events are {versions:?}");
            finding.order(*order, what);
        }
    }
    finding.verdict
}

fn is_contiguous(account: &Account) -> bool {
    let versions = account.events.iter().map(|it| it.version);
    (1..)
        .zip(versions)
        .all(|(expected, version)| expected == version)
}

/// Where a command stands in its order's sequence: what was applied as version 7 is at 14, what was rejected against
/// version 7 at 15, between it and version 8.
type Rank = u64;

struct Placed<'a> {
    sent: &'a Sent,
    rank: Rank,
}

pub(super) fn real_time_order(index: &Index<'_>) -> Verdict {
    let mut finding = Finding::of(Invariant::RealTimeOrder);
    for commands in index.by_order.values() {
        let mut by_begin: Vec<Placed<'_>> =
            commands.iter().filter_map(|it| place(index, it)).collect();
        let mut accepted: Vec<(Micros, usize)> = Vec::new();
        by_begin.sort_by_key(|it| it.sent.began_at());
        for (at, placed) in by_begin.iter().enumerate() {
            accepted.extend(placed.sent.accepted_at().map(|accepted| (accepted, at)));
        }
        accepted.sort_unstable();
        let mut before = accepted.into_iter().peekable();
        let mut highest: Option<&Placed<'_>> = None;
        for placed in &by_begin {
            while let Some((_, at)) = before.next_if(|(at, _)| *at < placed.sent.began_at()) {
                let accepted = &by_begin[at];
                if highest.is_none_or(|highest| accepted.rank > highest.rank) {
                    highest = Some(accepted);
                }
            }
            finding.checked();
            if let Some(highest) = highest.filter(|highest| highest.rank > placed.rank) {
                let what = format!(
                    "it was sent after key {} was accepted, and came before it: {} before {}",
                    highest.sent.key,
                    words(placed.rank),
                    words(highest.rank)
                );
                finding.command(placed.sent, what);
            }
        }
    }
    finding.verdict
}

/// What was never decided has no place; what nobody asked for has the one of its event.
fn place<'a>(index: &Index<'_>, sent: &'a Sent) -> Option<Placed<'a>> {
    let rank = match sent.outcome {
        Some(Outcome::Applied { version }) => 2 * version,
        Some(Outcome::Rejected { version, .. }) => 2 * version + 1,
        _ => 2 * index.effects(sent).first()?.version,
    };
    Some(Placed { sent, rank })
}

fn words(rank: Rank) -> String {
    let version = rank / 2;
    if rank.is_multiple_of(2) {
        format!("version {version}")
    } else {
        format!("rejected at version {version}")
    }
}

pub(super) fn linearizable(index: &Index<'_>) -> Verdict {
    let mut finding = Finding::of(Invariant::Linearizable);
    for (order, account) in &index.history.orders {
        // The gap is another invariant's; without it there is nothing to follow.
        if !is_contiguous(account) {
            continue;
        }
        finding.checked();
        match states(account) {
            Ok(states) => {
                shown(*order, account, &states, &mut finding);
                let commands = index.by_order.get(order).into_iter().flatten();
                for sent in commands {
                    if let Some(what) = command(index, sent, &states) {
                        finding.command(sent, what);
                    }
                }
            }
            Err(what) => finding.order(*order, what),
        }
    }
    finding.verdict
}

/// The order before its first event, and after each.
fn states(account: &Account) -> Result<Vec<Option<Model>>, String> {
    let mut states: Vec<Option<Model>> = vec![None];
    for event in &account.events {
        let before = states.last().expect("there is one from the start");
        let after = Model::after(before.as_ref(), event)
            .map_err(|what| format!("version {} ({}): {what}", event.version, event.name))?;
        states.push(Some(after));
    }
    Ok(states)
}

/// What the order shows in the end must be what its events made of it.
fn shown(order: Uuid, account: &Account, states: &[Option<Model>], finding: &mut Finding) {
    let (Some(shown), Some(Some(state))) = (&account.shown, states.last()) else {
        return;
    };
    let same = shown.version == state.version
        && shown.status == state.status.as_str()
        && shown.held == state.held
        && shown.annotations == state.annotations;
    if !same {
        let what = format!(
            "it shows {shown:?}, but its events make version {}, {}, held {}, {:?}",
            state.version,
            state.status.as_str(),
            state.held,
            state.annotations
        );
        finding.order(order, what);
    }
}

/// What is wrong with the place that a command has in its order's sequence.
fn command(index: &Index<'_>, sent: &Sent, states: &[Option<Model>]) -> Option<String> {
    let kind = sent.action.kind();
    let at = |version: u64| states.get(usize::try_from(version).ok()?);
    if let Some(Outcome::Rejected { version, code }) = &sent.outcome {
        let Some(state) = at(*version) else {
            return Some(format!(
                "it was rejected against version {version}, which its order never had"
            ));
        };
        let follows = refusal(state.as_ref(), kind, sent.expected_version);
        // Whether there was stock is told by all orders together.
        let of_stock = matches!(sent.action, Action::Place { .. }) && code == "insufficient_stock";
        return match follows {
            Some(follows) if follows == code => None,
            None if of_stock => None,
            Some(follows) => Some(format!(
                "it was rejected as {code} at version {version}, where {follows} follows"
            )),
            None => Some(format!(
                "it was rejected as {code} at version {version}, where it was legal"
            )),
        };
    }
    let event = index.effects(sent).into_iter().next()?;
    let expected = sent.expected_version;
    if expected.is_some_and(|expected| expected + 1 != event.version) {
        return Some(format!(
            "it expected version {expected:?} and was applied as version {}",
            event.version
        ));
    }
    let after = at(event.version)?.as_ref()?;
    let kept = match &sent.action {
        Action::Place { lines } => after.lines == *lines,
        Action::Annotate { key } => after.annotations.get(key) == Some(&sent.mark),
        _ => true,
    };
    (!kept).then(|| format!("version {} is not what was sent", event.version))
}
