//! A batch keeps the order of an order's lines, and ends for an order where one of its lines is not accepted.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    Finding, Index, Invariant, Verdict,
    order::{Placed, place, words},
};
use crate::storm::history::{Answer, Micros, Sent};

/// None without batches.
pub(super) fn batch_in_order(index: &Index<'_>) -> Option<Verdict> {
    let mut finding = Finding::of(Invariant::BatchInOrder);
    let mut lines: BTreeMap<(Uuid, Uuid), Vec<(usize, &Sent)>> = BTreeMap::new();
    for sent in &index.history.commands {
        if let Some(at) = sent.batch {
            let of_order = lines.entry((at.batch, sent.order)).or_default();
            of_order.push((at.line, sent));
        }
    }
    for lines in lines.values_mut() {
        lines.sort_by_key(|(line, _)| *line);
        let lines: Vec<&Sent> = lines.iter().map(|(_, sent)| *sent).collect();
        finding.checked();
        in_order(index, &lines, &mut finding);
        ended(&lines, &mut finding);
    }
    (finding.verdict.checked > 0).then_some(finding.verdict)
}

/// A line stands behind those before it. Attempts repeat the order, so whichever of them was stored, this holds.
fn in_order(index: &Index<'_>, lines: &[&Sent], finding: &mut Finding) {
    let mut last: Option<Placed<'_>> = None;
    for placed in lines.iter().filter_map(|sent| place(index, sent)) {
        if let Some(last) = last.as_ref().filter(|last| last.rank > placed.rank) {
            let what = format!(
                "it was a later line of a batch than key {}, and came before it: {} before {}",
                last.sent.key,
                words(placed.rank),
                words(last.rank)
            );
            finding.command(placed.sent, what);
        }
        last = Some(placed);
    }
}

/// Each request by itself: once a line of the order is not accepted, none is; and only then a line may be refused for it.
fn ended(lines: &[&Sent], finding: &mut Finding) {
    let mut requests: BTreeMap<Micros, Vec<(&Sent, &Answer, bool)>> = BTreeMap::new();
    for sent in lines {
        for (number, attempt) in sent.attempts.iter().enumerate() {
            let of_request = requests.entry(attempt.began).or_default();
            of_request.push((sent, &attempt.answer, number == 0));
        }
    }
    for answers in requests.values() {
        let mut has_ended = false;
        for (sent, answer, is_first) in answers {
            match answer {
                // Nobody knows of it, nor of those after it.
                Answer::Lost { .. } => break,
                Answer::Unavailable { code, .. } if code == PRECEDING && !has_ended => {
                    let what = "a line before it was called not accepted, and all were";
                    finding.command(sent, what.to_owned());
                }
                // What was accepted before stays so.
                it if it.is_accepted() && has_ended && *is_first => {
                    let what = "it was accepted behind a line of its order that was not";
                    finding.command(sent, what.to_owned());
                }
                it => has_ended |= !it.is_accepted(),
            }
        }
    }
}

/// The code of a line behind one that was not accepted.
const PRECEDING: &str = "preceding_not_accepted";
