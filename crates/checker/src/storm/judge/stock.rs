//! Pieces: where all of them are in the end, and whether one was ever promised twice on the way.
//!
//! Orders of one product are decided on different shards, so their events have no common order. What can be told from outside
//! is when something was certainly true (between an answer and the next request) and when it was possible (from a request on).

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

mod levels;

use super::{Finding, Index, Invariant, Verdict};
use crate::storm::{
    history::{Account, Answer, Attempt, Event, Line, Micros, Outcome, Sent, Shelf},
    model::{lines, parts},
};
use levels::Levels;

pub(super) fn conserved(index: &Index<'_>) -> Verdict {
    let mut finding = Finding::of(Invariant::StockConserved);
    let known = Known::of(index);
    let mut products: BTreeMap<String, Product> = BTreeMap::new();
    for (order, account) in &index.history.orders {
        take(&known, *order, account, &mut products);
    }
    let mut possible: BTreeMap<&str, (i64, Levels)> = BTreeMap::new();
    for shelf in &index.history.shelves {
        finding.checked();
        let product = products.remove(&shelf.sku).unwrap_or_default();
        if let Some(what) = miscounted(shelf, &product).or_else(|| oversold(shelf, &product.holds))
        {
            finding.product(&shelf.sku, what);
        }
        let levels = Levels::of(product.holds.iter().map(|it| (it.pieces, it.possibly())));
        possible.insert(&shelf.sku, (shelf.stocked, levels));
    }
    for sent in &index.history.commands {
        let (Some(lines), Some(Outcome::Rejected { version, code })) =
            (sent.action.reserves(), &sent.outcome)
        else {
            continue;
        };
        if code != "insufficient_stock" {
            continue;
        }
        finding.checked();
        let had = had(index, sent.order, *version);
        if !was_short(sent, &needs(lines, &had), &possible) {
            let what = "it was rejected for want of stock, and there was enough at every moment";
            finding.command(sent, what.to_owned());
        }
    }
    finding.verdict
}

/// Everything that orders did to one product.
#[derive(Default)]
struct Product {
    shipped: i64,
    returned: i64,
    reserved: i64,
    holds: Vec<Hold>,
}

/// Pieces that one order keeps from others, until they are given back.
struct Hold {
    order: Uuid,
    pieces: i64,
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

/// What is known outside of when an event happened.
struct Known<'a> {
    /// When each was first seen, by a subscriber or in the answer to its command.
    seen: HashMap<(Uuid, u64), Micros>,
    /// When a command was first sent, by what its event tells of it.
    sent_by_mark: HashMap<&'a str, Micros>,
    sent_by_id: HashMap<Uuid, Micros>,
}

impl<'a> Known<'a> {
    fn of(index: &Index<'a>) -> Self {
        let mut known = Self {
            seen: HashMap::new(),
            sent_by_mark: HashMap::new(),
            sent_by_id: HashMap::new(),
        };
        let mut note = |order, version, at| {
            let first = known.seen.entry((order, version)).or_insert(at);
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
            let began = sent.began_at();
            known.sent_by_mark.insert(&sent.mark, began);
            let ids = sent.command_ids();
            known
                .sent_by_id
                .extend(ids.into_iter().map(|id| (id, began)));
        }
        known
    }

    /// Between which moments it happened.
    fn when(&self, event: &Event) -> (Micros, Micros) {
        let sent = match event.mark() {
            Some(mark) => self.sent_by_mark.get(mark),
            None => self.sent_by_id.get(&event.command_id),
        };
        let seen = self.seen.get(&(event.order, event.version));
        (
            sent.copied().unwrap_or(0),
            seen.copied().unwrap_or(Micros::MAX),
        )
    }
}

/// Follows the pieces of one order. What its events ought to be is another invariant's: here they are believed.
fn take(
    known: &Known<'_>,
    order: Uuid,
    account: &Account,
    products: &mut BTreeMap<String, Product>,
) {
    let mut ordered: Vec<Line> = Vec::new();
    let mut shipped: Vec<i64> = Vec::new();
    // Of each product, the open holds: what was taken last is given back first.
    let mut open: BTreeMap<String, Vec<Hold>> = BTreeMap::new();
    for event in &account.events {
        let moves: Vec<(String, i64)> = match event.name.as_str() {
            "placed" | "amended" => {
                let new = lines(event).unwrap_or_default();
                let moves = difference(&new, &ordered);
                shipped = vec![0; new.len()];
                ordered = new;
                moves
            }
            "cancelled" => {
                let moves = difference(&[], &ordered);
                ordered.clear();
                moves
            }
            "shipped" => {
                for part in parts(event).unwrap_or_default() {
                    if let Some((at, line)) = line_of(&ordered, part.line) {
                        shipped[at] += part.quantity;
                        product(products, &line.sku).shipped += part.quantity;
                    }
                }
                continue;
            }
            "returned" => {
                let parts = parts(event).unwrap_or_default();
                let lines = parts.iter().filter_map(|part| {
                    let (_, line) = line_of(&ordered, part.line)?;
                    Some((line.sku.clone(), -part.quantity))
                });
                let moves: Vec<(String, i64)> = lines.collect();
                for (sku, pieces) in &moves {
                    product(products, sku).returned -= pieces;
                }
                moves
            }
            _ => continue,
        };
        let (earliest, latest) = known.when(event);
        for (sku, pieces) in moves {
            let holds = open.entry(sku.clone()).or_default();
            if pieces > 0 {
                holds.push(Hold {
                    order,
                    pieces,
                    earliest,
                    latest,
                    back_earliest: Micros::MAX,
                    back_latest: Micros::MAX,
                });
            } else {
                let back = give_back(holds, -pieces, (earliest, latest));
                product(products, &sku).holds.extend(back);
            }
        }
    }
    for (line, shipped) in ordered.iter().zip(shipped) {
        product(products, &line.sku).reserved += line.quantity - shipped;
    }
    for (sku, holds) in open {
        product(products, &sku).holds.extend(holds);
    }
}

fn product<'a>(products: &'a mut BTreeMap<String, Product>, sku: &str) -> &'a mut Product {
    if !products.contains_key(sku) {
        products.insert(sku.to_owned(), Product::default());
    }
    products.get_mut(sku).expect("it is there by now")
}

/// A line by its number, with its place.
fn line_of(lines: &[Line], number: usize) -> Option<(usize, &Line)> {
    let at = number.checked_sub(1)?;
    Some((at, lines.get(at)?))
}

/// Pieces by product.
fn pieces(lines: &[Line]) -> BTreeMap<&str, i64> {
    let mut pieces = BTreeMap::new();
    for line in lines {
        *pieces.entry(line.sku.as_str()).or_default() += line.quantity;
    }
    pieces
}

/// How many pieces more of each product are kept after than before.
fn difference(after: &[Line], before: &[Line]) -> Vec<(String, i64)> {
    let mut difference = pieces(after);
    for (sku, pieces) in pieces(before) {
        *difference.entry(sku).or_default() -= pieces;
    }
    let moving = difference.into_iter().filter(|(_, pieces)| *pieces != 0);
    moving
        .map(|(sku, pieces)| (sku.to_owned(), pieces))
        .collect()
}

/// Ends holds of so many pieces, the newest first; the last of them may be taken apart.
fn give_back(
    open: &mut Vec<Hold>,
    mut pieces: i64,
    (earliest, latest): (Micros, Micros),
) -> Vec<Hold> {
    let mut back = Vec::new();
    while pieces > 0
        && let Some(mut hold) = open.pop()
    {
        let kept = (hold.pieces - pieces).max(0);
        if kept > 0 {
            open.push(Hold {
                pieces: kept,
                ..hold
            });
            hold.pieces = pieces;
        }
        pieces -= hold.pieces;
        back.push(Hold {
            back_earliest: earliest,
            back_latest: latest,
            ..hold
        });
    }
    back
}

/// What the events leave on a shelf must be what it shows.
fn miscounted(shelf: &Shelf, product: &Product) -> Option<String> {
    let on_hand = shelf.stocked - product.shipped + product.returned;
    let reserved = product.reserved;
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
    let certain = Levels::of(holds.iter().map(|it| (it.pieces, it.certainly())));
    let (at, level) = certain.first_above(shelf.stocked)?;
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

/// What an order had reserved at a version. Only an order of which nothing has left can be amended.
fn had(index: &Index<'_>, order: Uuid, version: u64) -> Vec<Line> {
    let account = index.history.orders.get(&order);
    let events = account.map(|it| it.events.as_slice()).unwrap_or_default();
    let mut events = events.iter().take_while(|it| it.version <= version);
    // From its end, but an order is amended before anything else becomes of it.
    let ordering = |it: &&Event| matches!(it.name.as_str(), "placed" | "amended");
    let last = events.by_ref().filter(ordering).last();
    last.and_then(lines).unwrap_or_default()
}

/// How many pieces more a command asked for.
fn needs(asked: &[Line], had: &[Line]) -> Vec<(String, i64)> {
    let mut more = difference(asked, had);
    more.retain(|(_, pieces)| *pieces > 0);
    more
}

/// Whether there may have been too little for an order at any moment from its request until its sender knew.
fn was_short(
    sent: &Sent,
    needs: &[(String, i64)],
    possible: &BTreeMap<&str, (i64, Levels)>,
) -> bool {
    let rejected = |it: &&Attempt| matches!(it.answer, Answer::Rejected { .. });
    let told = sent.attempts.iter().filter(rejected);
    let known_at = told.map(|it| it.ended).min().unwrap_or(Micros::MAX);
    needs.iter().any(|(sku, pieces)| {
        let product = possible.get(sku.as_str());
        product.is_none_or(|(stocked, levels)| {
            levels.most(sent.began_at(), known_at) + pieces > *stocked
        })
    })
}
