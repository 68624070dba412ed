//! Compares what clients were told with what the data holds. Knows no way of writing: the same counts for all of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    evidence::{Answer, Effect, Evidence, Told},
    plan::{Intent, Wish, note_key},
};

/// What went wrong, counted from the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests whose client was told that it is done, and the data does not have it.
    pub lost_updates: usize,
    /// Versions of an order that two writers made, each once too often, and versions between that nobody made.
    pub bad_versions: usize,
    /// Requests that were carried out more than once.
    pub done_twice: usize,
    /// Customers who paid more than once.
    pub charged_twice: usize,
    /// Pieces sold beyond those that were there.
    pub oversold_pieces: u64,
    /// Pieces by which the counters of reserved stock differ from what was sold.
    pub miscounted_pieces: u64,
    /// Requests without an answer that a client could use.
    pub unanswered: usize,
    /// Anything else that must not be; `faults` has the words.
    pub strange: usize,
}

/// The counts, and whom they concern.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    pub(super) counts: Counts,
    /// One line for each thing that went wrong.
    pub(super) faults: Vec<String>,
    pub(super) example: Option<Example>,
}

/// One update that was lost, and one that was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The order's number in this race.
    pub order: usize,
    /// The version that both had read.
    pub version_read: u64,
    /// The note that was confirmed and is gone.
    pub lost_note: String,
    /// What it said.
    pub lost_text: String,
    /// The note that was confirmed under the same version, and is there.
    pub kept_note: String,
    /// What it says.
    pub kept_text: String,
}

impl Counts {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn are_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// The whole comparison.
pub(super) fn judge(evidence: &Evidence) -> Judgement {
    let mut judgement = Judgement::default();
    lost_updates(evidence, &mut judgement);
    versions(evidence, &mut judgement);
    done_twice(evidence, &mut judgement);
    charged_twice(evidence, &mut judgement);
    stock(evidence, &mut judgement);
    unanswered(evidence, &mut judgement);
    judgement.counts.strange = evidence.strange.len();
    judgement.faults.extend(evidence.strange.iter().cloned());
    judgement.example = example(evidence);
    judgement
}

fn lost_updates(evidence: &Evidence, judgement: &mut Judgement) {
    let notes = notes(evidence);
    let done_for = |effects: &[Effect]| -> BTreeSet<usize> {
        effects.iter().map(|effect| effect.intent).collect()
    };
    let (sales, charges) = (done_for(&evidence.sales), done_for(&evidence.charges));
    for told in &evidence.told {
        let number = told.intent.number;
        let missing = match told.last() {
            Some(Answer::Noted { by, .. }) => {
                let kept = notes.contains(&(told.intent.round, note_key(number)));
                (!kept).then_some((by, "its note is not on the order"))
            }
            Some(Answer::Sold { by, .. }) if !sales.contains(&number) => {
                Some((by, "its order does not exist"))
            }
            Some(Answer::Sold { by, .. }) if !charges.contains(&number) => {
                Some((by, "its customer was not charged"))
            }
            _ => None,
        };
        if let Some((by, what)) = missing {
            judgement.counts.lost_updates += 1;
            let fault = format!("lost: intent {number} ({by}) was confirmed, but {what}");
            judgement.faults.push(fault);
        }
    }
}

/// The notes that are there: round and key.
fn notes(evidence: &Evidence) -> BTreeSet<(usize, String)> {
    let orders = evidence.orders.iter();
    orders
        .flat_map(|order| order.notes.iter().map(|key| (order.round, key.clone())))
        .collect()
}

/// Version 1 is the order as it was placed, before the race; every later one has one writer.
fn versions(evidence: &Evidence, judgement: &mut Judgement) {
    let mut written: BTreeMap<(usize, u64), Vec<&str>> = BTreeMap::new();
    for write in &evidence.writes {
        let key = (write.round, write.version);
        written.entry(key).or_default().push(&write.effect.by);
    }
    for ((round, version), by) in &written {
        if by.len() > 1 {
            judgement.counts.bad_versions += by.len() - 1;
            let by = by.join(", ");
            let fault = format!("versions: version {version} of order {round} was made by {by}");
            judgement.faults.push(fault);
        }
    }
    let mut highest: BTreeMap<usize, u64> = BTreeMap::new();
    let finals = evidence.orders.iter().map(|it| (it.round, it.version));
    for (round, version) in finals.chain(written.keys().copied()) {
        let high = highest.entry(round).or_default();
        *high = version.max(*high);
    }
    for (round, highest) in highest {
        for version in (2..=highest).filter(|version| !written.contains_key(&(round, *version))) {
            judgement.counts.bad_versions += 1;
            let fault = format!("versions: nobody made version {version} of order {round}");
            judgement.faults.push(fault);
        }
    }
}

fn done_twice(evidence: &Evidence, judgement: &mut Judgement) {
    let writes = evidence.writes.iter().map(|write| &write.effect);
    for (intent, by) in more_than_once(writes.chain(&evidence.sales)) {
        judgement.counts.done_twice += 1;
        let fault = format!(
            "doubled: intent {intent} was carried out by {}",
            by.join(", ")
        );
        judgement.faults.push(fault);
    }
}

fn charged_twice(evidence: &Evidence, judgement: &mut Judgement) {
    for (intent, by) in more_than_once(&evidence.charges) {
        judgement.counts.charged_twice += 1;
        let by = by.join(", ");
        let fault = format!("doubled: the customer of intent {intent} was charged by {by}");
        judgement.faults.push(fault);
    }
}

/// The intents with several effects, and what names those.
fn more_than_once<'a>(
    effects: impl IntoIterator<Item = &'a Effect>,
) -> BTreeMap<usize, Vec<&'a str>> {
    let mut of_intent: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for effect in effects {
        of_intent.entry(effect.intent).or_default().push(&effect.by);
    }
    of_intent.retain(|_, by| by.len() > 1);
    of_intent
}

fn stock(evidence: &Evidence, judgement: &mut Judgement) {
    let rounds: BTreeMap<usize, usize> = evidence
        .told
        .iter()
        .filter(|told| told.intent.wish == Wish::Checkout)
        .map(|told| (told.intent.number, told.intent.round))
        .collect();
    for shelf in &evidence.shelves {
        let here = |sale: &&Effect| rounds.get(&sale.intent) == Some(&shelf.round);
        let sales: Vec<&str> = evidence
            .sales
            .iter()
            .filter(here)
            .map(|it| it.by.as_str())
            .collect();
        let sold = i64::try_from(sales.len()).expect("a race sells a few thousand pieces");
        let (oversold, off) = (
            sold.saturating_sub(shelf.on_hand).max(0),
            shelf.reserved.abs_diff(sold),
        );
        judgement.counts.oversold_pieces += oversold.unsigned_abs();
        judgement.counts.miscounted_pieces += off;
        if oversold > 0 || off > 0 {
            judgement.faults.push(format!(
                "stock: of product {}, {} pieces were there, {} count as reserved, {sold} were sold by {}",
                shelf.round,
                shelf.on_hand,
                shelf.reserved,
                sales.join(", ")
            ));
        }
    }
}

fn unanswered(evidence: &Evidence, judgement: &mut Judgement) {
    for told in &evidence.told {
        for answer in &told.answers {
            if let Answer::Failed(why) = answer {
                judgement.counts.unanswered += 1;
                let fault = format!("unanswered: intent {}: {why}", told.intent.number);
                judgement.faults.push(fault);
            }
        }
    }
}

/// A note that was confirmed and is gone, beside one that was confirmed as the same version and is there. Of many, one from the
/// middle of the race: the first requests meet cold caches. None that was sent twice: one story at a time.
fn example(evidence: &Evidence) -> Option<Example> {
    let notes = notes(evidence);
    let confirmed = |told: &Told| match told.answers[..] {
        [Answer::Noted { version, .. }] => Some((told.intent, version)),
        _ => None,
    };
    let (gone, there): (Vec<_>, Vec<_>) = evidence
        .told
        .iter()
        .filter_map(confirmed)
        .partition(|(intent, _)| !notes.contains(&(intent.round, intent.note_key())));
    let there: BTreeMap<(usize, u64), Intent> = there
        .into_iter()
        .map(|(intent, version)| ((intent.round, version), intent))
        .collect();
    let (first_half, second_half) = gone.split_at(gone.len() / 2);
    let mut from_the_middle = second_half.iter().chain(first_half);
    from_the_middle.find_map(|(lost, version)| {
        let kept = there.get(&(lost.round, *version))?;
        Some(Example {
            order: lost.round,
            version_read: version - 1,
            lost_note: lost.note_key(),
            lost_text: lost.note_text().to_owned(),
            kept_note: kept.note_key(),
            kept_text: kept.note_text().to_owned(),
        })
    })
}

#[cfg(test)]
mod tests;
