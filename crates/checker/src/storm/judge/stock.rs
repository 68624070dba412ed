//! Pieces: where all of them are in the end, and whether one was ever promised twice on the way.
//!
//! Orders of one product are decided on different shards, so their events have no common order. What can be told from outside
//! is when something was certainly true (between an answer and the next request) and when it was possible (from a request on).

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{Finding, Index, Invariant, Verdict};
use crate::storm::history::{
    Account, Action, Answer, Attempt, Event, Line, Micros, Outcome, Sent, Shelf,
};

pub(super) fn conserved(index: &Index<'_>) -> Verdict {
    let mut finding = Finding::of(Invariant::StockConserved);
    let learned = learned(index);
    let mut holds: BTreeMap<&str, Vec<Hold>> = BTreeMap::new();
    for (order, account) in &index.history.orders {
        for (sku, hold) in held(index, &learned, *order, account) {
            holds.entry(sku).or_default().push(hold);
        }
    }
    let mut possible: BTreeMap<&str, Levels> = BTreeMap::new();
    for shelf in &index.history.shelves {
        finding.checked();
        let holds = holds.remove(shelf.sku.as_str()).unwrap_or_default();
        if let Some(what) = miscounted(shelf, &holds).or_else(|| oversold(shelf, &holds)) {
            finding.product(&shelf.sku, what);
        }
        possible.insert(&shelf.sku, Levels::of(&holds, Hold::possibly));
    }
    for sent in &index.history.commands {
        let (Action::Place { lines }, Some(outcome)) = (&sent.action, &sent.outcome) else {
            continue;
        };
        if matches!(outcome, Outcome::Rejected { code, .. } if code == "insufficient_stock") {
            finding.checked();
            if !was_short(index, sent, lines, &possible) {
                let what =
                    "it was rejected for want of stock, and there was enough at every moment";
                finding.command(sent, what.to_owned());
            }
        }
    }
    finding.verdict
}

/// Pieces that one order holds of one product.
struct Hold {
    order: Uuid,
    pieces: i64,
    shipped: bool,
    cancelled: bool,
    /// Not before this.
    earliest: Micros,
    /// Certainly by this.
    latest: Micros,
    /// Given back not before this.
    back_earliest: Micros,
    /// Certainly given back by this.
    back_latest: Micros,
}

impl Hold {
    fn possibly(&self) -> (Micros, Micros) {
        (self.earliest, self.back_latest)
    }

    fn certainly(&self) -> (Micros, Micros) {
        (self.latest, self.back_earliest)
    }
}

/// How many pieces were held, as steps in time.
struct Levels(Vec<(Micros, i64)>);

impl Levels {
    fn of(holds: &[Hold], interval: fn(&Hold) -> (Micros, Micros)) -> Self {
        let mut steps: BTreeMap<Micros, i64> = BTreeMap::new();
        for hold in holds {
            let (from, to) = interval(hold);
            if from < to {
                *steps.entry(from).or_default() += hold.pieces;
                *steps.entry(to).or_default() -= hold.pieces;
            }
        }
        let mut level = 0;
        let levels = steps.into_iter().map(|(at, step)| {
            level += step;
            (at, level)
        });
        Self(levels.collect())
    }

    /// The most between two moments, both included.
    fn most(&self, from: Micros, to: Micros) -> i64 {
        let begins = self
            .0
            .partition_point(|(at, _)| *at <= from)
            .saturating_sub(1);
        let within = self.0[begins..].iter().take_while(|(at, _)| *at <= to);
        within
            .map(|(_, level)| *level)
            .max()
            .unwrap_or_default()
            .max(0)
    }
}

/// When each event was first known outside, by a subscriber or by the answer to its command.
fn learned(index: &Index<'_>) -> HashMap<(Uuid, u64), Micros> {
    let mut learned: HashMap<(Uuid, u64), Micros> = HashMap::new();
    let mut note = |order, version, at| {
        let first = learned.entry((order, version)).or_insert(at);
        *first = at.min(*first);
    };
    for seen in index.history.streams.iter().flat_map(|it| &it.sightings) {
        note(seen.event.order, seen.event.version, seen.at);
    }
    for sent in &index.history.commands {
        for attempt in &sent.attempts {
            if let Answer::Applied { version, .. } = attempt.answer {
                note(sent.order, version, attempt.ended);
            }
        }
    }
    learned
}

fn held<'a>(
    index: &Index<'a>,
    learned: &HashMap<(Uuid, u64), Micros>,
    order: Uuid,
    account: &Account,
) -> Vec<(&'a str, Hold)> {
    let commands = index
        .by_order
        .get(&order)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let of = |event: &Event| {
        let mark = event.mark();
        commands.iter().find(|it| Some(it.mark.as_str()) == mark)
    };
    let event = |name: &str| account.events.iter().find(|it| it.name == name);
    let known = |event: &Event| learned.get(&(order, event.version)).copied();
    let Some((placed, sent)) = event("placed").and_then(|it| Some((it, of(it)?))) else {
        return Vec::new();
    };
    let Action::Place { lines } = &sent.action else {
        return Vec::new();
    };
    let cancelled = event("cancelled");
    let back_earliest = cancelled.map(|it| of(it).map_or(0, |sent| sent.began_at()));
    let hold = |pieces| Hold {
        order,
        pieces,
        shipped: event("shipped").is_some(),
        cancelled: cancelled.is_some(),
        earliest: sent.began_at(),
        latest: known(placed).unwrap_or(Micros::MAX),
        back_earliest: back_earliest.unwrap_or(Micros::MAX),
        back_latest: cancelled.and_then(known).unwrap_or(Micros::MAX),
    };
    let holds = lines
        .iter()
        .map(|line| (line.sku.as_str(), hold(line.quantity)));
    holds.collect()
}

/// What the events leave on a shelf must be what it shows.
fn miscounted(shelf: &Shelf, holds: &[Hold]) -> Option<String> {
    let pieces = |of: fn(&Hold) -> bool| -> i64 {
        let holds = holds.iter().filter(|it| of(it));
        holds.map(|it| it.pieces).sum()
    };
    let on_hand = shelf.stocked - pieces(|it| it.shipped);
    let reserved = pieces(|it| !it.shipped && !it.cancelled);
    if (shelf.on_hand, shelf.reserved) != (on_hand, reserved) {
        return Some(format!(
            "it shows {} on hand and {} reserved, but the events leave {on_hand} and {reserved}",
            shelf.on_hand, shelf.reserved
        ));
    }
    let oversold = reserved > on_hand;
    oversold.then(|| format!("{reserved} pieces are reserved, {on_hand} are there"))
}

/// More pieces promised at one moment than were ever there.
fn oversold(shelf: &Shelf, holds: &[Hold]) -> Option<String> {
    let certain = Levels::of(holds, Hold::certainly);
    let (at, level) = certain
        .0
        .into_iter()
        .find(|(_, level)| *level > shelf.stocked)?;
    let orders = holds.iter().filter(|hold| {
        let (from, to) = hold.certainly();
        from <= at && at < to
    });
    let orders: Vec<String> = orders.map(|it| it.order.to_string()).collect();
    Some(format!(
        "{level} of {} pieces were promised at {at} us: to {}",
        shelf.stocked,
        orders.join(", ")
    ))
}

/// Whether there may have been too little for an order at any moment from its request until its sender knew.
fn was_short(
    index: &Index<'_>,
    sent: &Sent,
    lines: &[Line],
    possible: &BTreeMap<&str, Levels>,
) -> bool {
    let rejected = |it: &&Attempt| matches!(it.answer, Answer::Rejected { .. });
    let told = sent.attempts.iter().filter(rejected);
    let known_at = told.map(|it| it.ended).min().unwrap_or(Micros::MAX);
    lines.iter().any(|line| {
        let shelf = index.history.shelves.iter().find(|it| it.sku == line.sku);
        let levels = possible.get(line.sku.as_str());
        shelf.zip(levels).is_none_or(|(shelf, levels)| {
            levels.most(sent.began_at(), known_at) + line.quantity > shelf.stocked
        })
    })
}
