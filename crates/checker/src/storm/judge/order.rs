//! One order at a time: its versions, its order in real time, and whether a sequence of commands explains it.

use uuid::Uuid;

use super::{Finding, Index, Invariant, Verdict};
use crate::storm::{
    history::{Account, Action, Event, Micros, Outcome, Part, Sent, Shown},
    model::{Model, Status, parts, refusal},
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

pub(super) struct Placed<'a> {
    pub(super) sent: &'a Sent,
    pub(super) rank: Rank,
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
pub(super) fn place<'a>(index: &Index<'_>, sent: &'a Sent) -> Option<Placed<'a>> {
    let rank = match sent.outcome {
        Some(Outcome::Applied { version }) => 2 * version,
        Some(Outcome::Rejected { version, .. }) => 2 * version + 1,
        _ => 2 * index.effects(sent).first()?.version,
    };
    Some(Placed { sent, rank })
}

pub(super) fn words(rank: Rank) -> String {
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
        let commands = index.by_order.get(order).map_or(&[][..], Vec::as_slice);
        match follow(index, account, commands, &mut finding) {
            Ok(Some(state)) => shown(*order, account, &state, &mut finding),
            Ok(None) => {}
            Err(what) => finding.order(*order, what),
        }
    }
    finding.verdict
}

/// A command at the version that it made, or against which it was rejected.
struct Standing<'a> {
    version: u64,
    sent: &'a Sent,
    /// With which code, if it was.
    rejected: Option<&'a str>,
}

/// The order after its last event; on the way every command is compared with the state that it met. One state is kept, however
/// many events there are.
fn follow<'a>(
    index: &Index<'a>,
    account: &Account,
    commands: &[&'a Sent],
    finding: &mut Finding,
) -> Result<Option<Model>, String> {
    let standings = commands.iter().filter_map(|sent| standing(index, sent));
    let mut standings: Vec<Standing<'_>> = standings.collect();
    standings.sort_by_key(|it| it.version);
    let mut standings = standings.into_iter().peekable();
    let mut state = None;
    for event in std::iter::once(None).chain(account.events.iter().map(Some)) {
        if let Some(event) = event {
            let after = Model::after(state, event)
                .map_err(|what| format!("version {} ({}): {what}", event.version, event.name))?;
            state = Some(after);
        }
        let version = event.map_or(0, |event| event.version);
        while let Some(it) = standings.next_if(|it| it.version == version) {
            let what = match (it.rejected, &state, event) {
                (Some(code), ..) => wrong_rejection(state.as_ref(), &it, code),
                (None, Some(state), Some(event)) => wrong_effect(state, event, it.sent),
                (None, ..) => None,
            };
            if let Some(what) = what {
                finding.command(it.sent, what);
            }
        }
    }
    for it in standings {
        let what = format!(
            "it was decided against version {}, which its order never had",
            it.version
        );
        finding.command(it.sent, what);
    }
    Ok(state)
}

fn standing<'a>(index: &Index<'a>, sent: &'a Sent) -> Option<Standing<'a>> {
    let (version, rejected) = match &sent.outcome {
        Some(Outcome::Rejected { version, code }) => (*version, Some(code.as_str())),
        _ => (index.effects(sent).first()?.version, None),
    };
    Some(Standing {
        version,
        sent,
        rejected,
    })
}

/// What the order shows in the end must be what its events made of it.
fn shown(order: Uuid, account: &Account, state: &Model, finding: &mut Finding) {
    let follows = Shown {
        version: state.version,
        status: state.status.as_str().to_owned(),
        held: state.held,
        annotations: state.annotations.clone(),
        recipient: state.recipient.clone(),
        lines: state.lines.clone(),
        money: state.money(),
    };
    if let Some(shown) = account.shown.as_ref().filter(|it| **it != follows) {
        finding.order(
            order,
            format!("it shows {shown:?}, but its events make {follows:?}"),
        );
    }
}

fn wrong_rejection(state: Option<&Model>, it: &Standing<'_>, code: &str) -> Option<String> {
    let follows = refusal(state, &it.sent.action, it.sent.expected_version);
    // Whether there was stock is told by all orders together.
    let of_stock = it.sent.action.reserves().is_some() && code == "insufficient_stock";
    match follows {
        Some(follows) if follows == code => None,
        None if of_stock => None,
        Some(follows) => Some(format!(
            "it was rejected as {code} at version {}, where {follows} follows",
            it.version
        )),
        None => Some(format!(
            "it was rejected as {code} at version {}, where it was legal",
            it.version
        )),
    }
}

fn wrong_effect(after: &Model, event: &Event, sent: &Sent) -> Option<String> {
    let expected = sent.expected_version;
    if expected.is_some_and(|expected| expected + 1 != event.version) {
        return Some(format!(
            "it expected version {expected:?} and was applied as version {}",
            event.version
        ));
    }
    let kept = match &sent.action {
        Action::Place { lines } | Action::Amend { lines } => {
            after.lines.iter().map(|it| &it.line).eq(lines)
        }
        Action::Annotate { key } => after.annotations.get(key) == Some(&sent.mark),
        Action::Ship { parts: all } if all.is_empty() => after.status == Status::Shipped,
        Action::Ship { parts } | Action::Return { parts } => moved(event) == Some(sorted(parts)),
        Action::Refund { amount_minor } => {
            event.data["amount_minor"].as_i64() == Some(*amount_minor)
        }
        // The mark by which its event is known is all of it.
        Action::SetAddress
        | Action::Hold
        | Action::Release
        | Action::Pay
        | Action::Deliver
        | Action::Cancel => true,
    };
    (!kept).then(|| format!("version {} is not what was sent", event.version))
}

fn moved(event: &Event) -> Option<Vec<Part>> {
    parts(event).map(|parts| sorted(&parts))
}

fn sorted(parts: &[Part]) -> Vec<Part> {
    let mut parts = parts.to_vec();
    parts.sort_by_key(|part| part.line);
    parts
}
