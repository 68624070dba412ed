//! Does what the tables say of an order follow from its events? Pure: a history in, differences out.

use std::collections::{HashMap, HashSet};

use orderly_domain::{CommandId, Order, StockMovement, Version, evolve, movements};
use orderly_protocol::{
    CommandOutcome, EventHeader, Outcome, RecordedEvent, parse_event_data, parse_order_state,
};
use orderly_store::ProjectedOrder;

use super::{Difference, history::History};

/// Everything that does not follow.
pub(super) fn differences(history: &History) -> Vec<Difference> {
    let mut found = Vec::new();
    let replayed = replay(history, &mut found);
    compare_state(history, replayed.as_ref(), &mut found);
    compare_outcomes(history, &mut found);
    found
}

/// Folds the events; stops at the first that cannot be read or applied, since nothing after it can be judged.
fn replay(history: &History, found: &mut Vec<Difference>) -> Option<Order> {
    let mut order: Option<Order> = None;
    let mut ledger = history.movements.as_slice();
    for recorded in &history.events {
        let expected = order
            .as_ref()
            .map_or(Version::NONE, |order| order.version)
            .next();
        if recorded.version != expected {
            found.push(at(
                recorded,
                format!("comes where version {expected} is due"),
            ));
            return order;
        }
        let (header, event) = match parse_event_data(&recorded.event_type, recorded.data.get()) {
            Ok(read) => read,
            Err(error) => {
                found.push(at(recorded, format!("cannot be read: {error}")));
                return order;
            }
        };
        let due = movements(order.as_ref(), &event);
        let of_event = ledger
            .iter()
            .take_while(|row| row.version == recorded.version)
            .count();
        let (written, rest) = ledger.split_at(of_event);
        ledger = rest;
        let written: Vec<&StockMovement> = written.iter().map(|row| &row.movement).collect();
        if written != due.iter().collect::<Vec<_>>() {
            found.push(at(
                recorded,
                format!("moves stock by {due:?}, and its ledger says {written:?}"),
            ));
        }
        match evolve(order.as_ref(), recorded.order_id, &event) {
            Ok(after) => {
                found.extend(header_difference(recorded, &header, &after));
                order = Some(after);
            }
            Err(error) => {
                found.push(at(recorded, format!("cannot be replayed: {error}")));
                return order;
            }
        }
    }
    if let [first, ..] = ledger {
        let what = format!(
            "has stock movements from version {} on without an event",
            first.version
        );
        found.push(Difference::new(&history.order_id, what));
    }
    order
}

/// The event carries the order as it was then.
fn header_difference(
    recorded: &RecordedEvent,
    header: &EventHeader,
    after: &Order,
) -> Option<Difference> {
    let agrees = header.order_id == after.order_id
        && header.version == after.version
        && header.status == after.status
        && header.held == after.hold.is_some()
        && header.customer_id == after.customer_id
        && header.currency == after.currency;
    (!agrees).then(|| {
        at(
            recorded,
            "tells another order, version or status than its replay".to_owned(),
        )
    })
}

fn compare_state(history: &History, replayed: Option<&Order>, found: &mut Vec<Difference>) {
    let id = history.order_id;
    match (&history.order, replayed) {
        (None, None) => {}
        (Some(_), None) => found.push(Difference::new(
            &id,
            "is an order without a readable first event",
        )),
        (None, Some(_)) => found.push(Difference::new(&id, "has events but no order")),
        (Some(row), Some(replayed)) => {
            match parse_order_state(&row.state) {
                Ok(state) if state == *replayed => {}
                Ok(_) => found.push(Difference::new(
                    &id,
                    "its state is not the replay of its events",
                )),
                Err(error) => found.push(Difference::new(
                    &id,
                    format!("its state cannot be read: {error}"),
                )),
            }
            compare_columns(row, replayed, found);
        }
    }
}

fn compare_columns(row: &ProjectedOrder, replayed: &Order, found: &mut Vec<Difference>) {
    let columns = [
        (
            "version",
            row.version.to_string(),
            replayed.version.to_string(),
        ),
        (
            "status",
            row.status.clone(),
            replayed.status.as_str().to_owned(),
        ),
        (
            "held",
            row.held.to_string(),
            replayed.hold.is_some().to_string(),
        ),
        (
            "customer_id",
            row.customer_id.clone(),
            replayed.customer_id.clone(),
        ),
        (
            "currency",
            row.currency.clone(),
            replayed.currency.to_string(),
        ),
        (
            "total_minor",
            row.total_minor.to_string(),
            replayed.total_minor().to_string(),
        ),
        (
            "captured_minor",
            row.captured_minor.to_string(),
            replayed.captured_minor().to_string(),
        ),
        (
            "refunded_minor",
            row.refunded_minor.to_string(),
            replayed.refunded_minor().to_string(),
        ),
        (
            "refund_pending_minor",
            row.refund_pending_minor.to_string(),
            replayed.refund_pending_minor().to_string(),
        ),
    ];
    for (column, table, replay) in columns {
        if table != replay {
            let what = format!("column {column} says {table}, the replay {replay}");
            found.push(Difference::new(&row.order_id, what));
        }
    }
}

/// One applied outcome per event and one event per applied outcome; no other outcome made a version.
fn compare_outcomes(history: &History, found: &mut Vec<Difference>) {
    let version_of: HashMap<CommandId, Version> = history
        .events
        .iter()
        .map(|event| (event.command_id, event.version))
        .collect();
    let last = history
        .events
        .last()
        .map_or(Version::NONE, |event| event.version);
    if version_of.len() != history.events.len() {
        found.push(Difference::new(
            &history.order_id,
            "has two events of one command",
        ));
    }
    let mut applied = HashSet::new();
    for outcome in &history.outcomes {
        let made = version_of.get(&outcome.command_id).copied();
        if outcome.outcome == Outcome::Applied {
            applied.insert(outcome.command_id);
        }
        found.extend(outcome_difference(outcome, made, last));
    }
    for event in &history.events {
        if !applied.contains(&event.command_id) {
            found.push(at(
                event,
                format!("has no applied outcome of its command {}", event.command_id),
            ));
        }
    }
}

fn outcome_difference(
    outcome: &CommandOutcome,
    made: Option<Version>,
    last: Version,
) -> Option<Difference> {
    let what = match (outcome.outcome, made) {
        (Outcome::Applied, None) => "was applied and made no event".to_owned(),
        (Outcome::Applied, Some(version)) if version != outcome.version => {
            format!(
                "was applied as version {}, and its event is version {version}",
                outcome.version
            )
        }
        (Outcome::Rejected | Outcome::Discarded, Some(version)) => {
            format!("was not applied and made the event of version {version}")
        }
        (Outcome::Rejected | Outcome::Discarded, None) if outcome.version > last => {
            format!(
                "was decided against version {}, and the order has {last}",
                outcome.version
            )
        }
        _ => return None,
    };
    Some(Difference::new(
        &format!("command {}", outcome.command_id),
        what,
    ))
}

fn at(event: &RecordedEvent, what: String) -> Difference {
    Difference::new(&format!("event {}.{}", event.order_id, event.version), what)
}

#[cfg(test)]
mod tests;
