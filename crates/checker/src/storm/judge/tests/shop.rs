//! The whole life of an order: amended, addressed, paid, shipped in parts, paid back, returned; and every way to get it wrong.

use super::*;
use crate::storm::history::Part;

/// Places of commands.
const AMEND: usize = 1;
const ADDRESS: usize = 2;
const REFUND: usize = 6;
const TOO_MUCH: usize = 8;
const TOO_MANY: usize = 9;

/// Versions of events.
const AMENDED: usize = 2;
const ADDRESSED: usize = 3;
const PART_SHIPPED: usize = 6;
const SHIPPED: usize = 7;
const REFUND_REQUESTED: usize = 8;
const REFUNDED: usize = 9;
const RETURNED: usize = 10;

/// Numbers of the payment company's commands.
const CAPTURE: usize = 50;
const PAYBACK: usize = 51;

fn part(line: usize, quantity: i64) -> Vec<Part> {
    vec![Part { line, quantity }]
}

/// Adds what happens to [`ORDER`], one thing after the other.
#[derive(Default)]
struct Life {
    history: History,
    events: Vec<Event>,
}

impl Life {
    fn time(&self) -> (Micros, Micros) {
        let begins = 100 * (self.history.commands.len() as u64 + 1);
        (begins, begins + 50)
    }

    fn version(&self) -> u64 {
        self.events.len() as u64
    }

    /// A command that is applied.
    fn does(&mut self, action: Action, status: &str, data: Value) {
        let number = self.history.commands.len();
        self.happens(action.kind().event_name(), number, status, data);
        let sent = sent(number, action, self.time(), applied(self.version()));
        self.history.commands.push(sent);
    }

    /// One that is rejected.
    fn tries(&mut self, action: Action, code: &str) {
        let number = self.history.commands.len();
        let outcome = rejected(self.version(), code);
        let sent = sent(number, action, self.time(), outcome);
        self.history.commands.push(sent);
    }

    fn happens(&mut self, name: &str, number: usize, status: &str, mut data: Value) {
        data["status"] = json!(status);
        self.events
            .push(event(self.version() + 1, name, number, false, &data));
    }

    fn ends(mut self, shown: Shown, on_hand: i64, reserved: i64) -> History {
        let account = Account {
            events: self.events,
            shown: Some(shown),
        };
        self.history.orders.insert(ORDER, account);
        self.history.shelves = vec![Shelf {
            sku: SKU.to_owned(),
            stocked: STOCKED,
            on_hand,
            reserved,
        }];
        watched(self.history)
    }
}

pub(super) fn shop() -> History {
    let mut life = Life::default();
    let of = |quantity: i64| json!({ "lines": lines(quantity) });
    let moved = |quantity: i64| json!({ "lines": part(1, quantity) });
    life.does(Action::Place { lines: lines(2) }, "placed", of(2));
    life.does(Action::Amend { lines: lines(3) }, "placed", of(3));
    let address = json!({"address": {"name": "mark-2"}});
    life.does(Action::SetAddress, "placed", address);
    let asked = json!({"method": "mark-3", "payment_id": id(3), "amount_minor": 300});
    life.does(Action::Pay, "payment_pending", asked);
    let captured = json!({"payment_id": id(3), "amount_minor": 300});
    life.happens("payment_captured", CAPTURE, "paid", captured);
    let mut shipped = moved(1);
    shipped["tracking"] = json!("mark-4");
    life.does(
        Action::Ship { parts: part(1, 1) },
        "partially_shipped",
        shipped,
    );
    let mut shipped = moved(2);
    shipped["tracking"] = json!("mark-5");
    life.does(Action::Ship { parts: Vec::new() }, "shipped", shipped);
    let back = json!({"refund_id": id(6), "amount_minor": 100, "reason": "mark-6"});
    life.does(Action::Refund { amount_minor: 100 }, "shipped", back);
    let answer = json!({"refund_id": id(6), "amount_minor": 100});
    life.happens("refund_completed", PAYBACK, "shipped", answer);
    life.does(Action::Return { parts: part(1, 1) }, "shipped", moved(1));
    life.tries(Action::Refund { amount_minor: 201 }, "invalid_amount");
    life.tries(Action::Return { parts: part(1, 3) }, "invalid_quantity");
    life.tries(Action::Amend { lines: lines(1) }, "illegal_transition");
    let shown = Shown {
        version: 10,
        status: "shipped".to_owned(),
        held: false,
        annotations: [].into(),
        recipient: Some("mark-2".to_owned()),
        lines: vec![goods(3, 3, 1)],
        money: Money {
            captured: 300,
            refunded: 100,
            pending: 0,
        },
    };
    // Ten were there, three left, one came back.
    life.ends(shown, 8, 0)
}

/// [`shop`] with one event changed.
fn with(version: usize, change: impl FnOnce(&mut Event)) -> Vec<Invariant> {
    let mut history = shop();
    change(&mut events(&mut history)[version - 1]);
    broken(&watched(history))
}

/// [`shop`] up to `version`, and then `event`; what it shows and what is on the shelves is not looked at.
fn ending_with(version: usize, event: Event) -> Vec<Invariant> {
    let mut history = shop();
    let events = events(&mut history);
    events.truncate(version);
    events.push(event);
    history.orders.get_mut(&ORDER).unwrap().shown = None;
    history.shelves.clear();
    let is_left = |it: &Sent| matches!(it.outcome, Some(Outcome::Applied { version: made }) if made <= version as u64);
    history.commands.retain(is_left);
    broken(&watched(history))
}

/// Whether an event of [`shop`] with so many pieces is found for them.
fn is_called_too_many(version: usize, quantity: i64) -> bool {
    let mut history = shop();
    events(&mut history)[version - 1].data["lines"][0]["quantity"] = json!(quantity);
    let verdicts = judge(&watched(history), Rules::default());
    let mut found = verdicts.iter().flat_map(|it| &it.violations);
    found.any(|it| it.what.contains("more than is left"))
}

fn shown(history: &mut History) -> &mut Shown {
    let order = history.orders.get_mut(&ORDER).unwrap();
    order.shown.as_mut().unwrap()
}

#[test]
fn a_whole_life_passes() {
    assert_eq!(broken(&shop()), []);
}

#[test]
fn an_amendment_that_is_not_what_was_sent_is_found() {
    let mut history = shop();
    history.commands[AMEND].action = Action::Amend { lines: lines(4) };
    assert_eq!(broken(&history), [Invariant::Linearizable]);
}

#[test]
fn an_order_that_lost_its_amendment_is_found() {
    let mut history = shop();
    shown(&mut history).lines = vec![goods(2, 3, 1)];
    assert_eq!(broken(&history), [Invariant::Linearizable]);
}

#[test]
fn an_amendment_of_a_paid_order_is_found() {
    let late = event(
        6,
        "amended",
        AMEND,
        false,
        &json!({"lines": lines(3), "status": "paid"}),
    );
    let found = ending_with(5, late);
    assert!(found.contains(&Invariant::Linearizable), "{found:?}");
}

#[test]
fn a_payment_of_what_the_order_cost_before_its_amendment_is_found() {
    let found = with(4, |it| it.data["amount_minor"] = json!(200));
    assert_eq!(found, [Invariant::Linearizable]);
}

#[test]
fn an_order_that_goes_to_another_address_is_found() {
    let mut history = shop();
    shown(&mut history).recipient = None;
    assert_eq!(broken(&history), [Invariant::Linearizable]);
    let found = with(ADDRESSED, |it| it.data["address"]["name"] = json!("mark-9"));
    assert!(found.contains(&Invariant::EventsMatchCommands), "{found:?}");
}

#[test]
fn an_address_after_everything_has_left_is_found() {
    let data = json!({"address": {"name": "mark-2"}, "status": "shipped"});
    let found = ending_with(SHIPPED, event(8, "address_set", ADDRESS, false, &data));
    assert!(found.contains(&Invariant::Linearizable), "{found:?}");
}

#[test]
fn more_that_leaves_than_was_ordered_is_found() {
    assert!(is_called_too_many(SHIPPED, 3));
    assert!(!is_called_too_many(SHIPPED, 2));
}

#[test]
fn a_part_that_leaves_other_than_asked_for_is_found() {
    let mut history = shop();
    history.commands[4].action = Action::Ship { parts: part(1, 2) };
    assert_eq!(broken(&history), [Invariant::Linearizable]);
}

#[test]
fn an_order_called_shipped_while_a_part_is_missing_is_found() {
    let found = with(PART_SHIPPED, |it| it.data["status"] = json!("shipped"));
    assert_eq!(found, [Invariant::Linearizable]);
}

#[test]
fn more_that_comes_back_than_left_is_found() {
    assert!(is_called_too_many(RETURNED, 4));
    assert!(!is_called_too_many(RETURNED, 3));
}

#[test]
fn an_order_that_came_back_whole_and_is_not_called_returned_is_found() {
    let data = json!({"lines": part(1, 3), "status": "shipped"});
    let all = event(10, "returned", 7, false, &data);
    let found = ending_with(REFUNDED, all.clone());
    assert!(found.contains(&Invariant::Linearizable), "{found:?}");
    let mut right = all;
    right.data["status"] = json!("returned");
    let found = ending_with(REFUNDED, right);
    assert!(!found.contains(&Invariant::Linearizable), "{found:?}");
}

#[test]
fn more_that_is_paid_back_than_was_taken_is_found() {
    let found = with(REFUND_REQUESTED, |it| it.data["amount_minor"] = json!(301));
    assert!(found.contains(&Invariant::Linearizable), "{found:?}");
    // Each of them is less than was taken, and together they are more: what is pending counts.
    let data =
        json!({"refund_id": id(60), "amount_minor": 201, "reason": "mark-6", "status": "shipped"});
    let second = event(9, "refund_requested", 60, false, &data);
    let found = ending_with(REFUND_REQUESTED, second.clone());
    assert!(found.contains(&Invariant::Linearizable), "{found:?}");
    let mut enough = second;
    enough.data["amount_minor"] = json!(200);
    let found = ending_with(REFUND_REQUESTED, enough);
    assert!(!found.contains(&Invariant::Linearizable), "{found:?}");
}

#[test]
fn a_refund_of_another_amount_than_asked_for_is_found() {
    let mut history = shop();
    history.commands[REFUND].action = Action::Refund { amount_minor: 99 };
    assert_eq!(broken(&history), [Invariant::Linearizable]);
}

#[test]
fn a_refund_that_is_answered_twice_is_found() {
    let data = json!({"refund_id": id(6), "amount_minor": 100, "status": "shipped"});
    let again = event(10, "refund_failed", PAYBACK, false, &data);
    assert_eq!(ending_with(REFUNDED, again), [Invariant::Linearizable]);
}

#[test]
fn a_refund_that_failed_frees_its_amount() {
    let mut history = shop();
    events(&mut history)[REFUNDED - 1].name = "refund_failed".to_owned();
    shown(&mut history).money.refunded = 0;
    // What was too much is not any more.
    assert_eq!(broken(&watched(history.clone())), [Invariant::Linearizable]);
    history.commands[TOO_MUCH].action = Action::Refund { amount_minor: 301 };
    assert_eq!(broken(&watched(history)), []);
}

#[test]
fn an_order_that_shows_other_money_than_moved_is_found() {
    let mut history = shop();
    shown(&mut history).money.pending = 100;
    assert_eq!(broken(&history), [Invariant::Linearizable]);
}

#[test]
fn a_refund_or_a_return_that_was_rejected_and_was_not_too_much_is_found() {
    for (number, action) in [
        (TOO_MUCH, Action::Refund { amount_minor: 200 }),
        (TOO_MANY, Action::Return { parts: part(1, 2) }),
    ] {
        let mut history = shop();
        history.commands[number].action = action;
        assert_eq!(broken(&history), [Invariant::Linearizable]);
    }
}

#[test]
fn what_a_hold_stops_is_found() {
    for (version, name, data) in [
        (AMENDED, "amended", json!({"lines": lines(3)})),
        (
            REFUND_REQUESTED,
            "refund_requested",
            json!({"refund_id": id(6), "amount_minor": 100}),
        ),
        (RETURNED, "returned", json!({"lines": part(1, 1)})),
    ] {
        let mut history = shop();
        let events = events(&mut history);
        let status = events[version - 2].data["status"].clone();
        let mut held = event(
            version as u64,
            "held",
            70,
            true,
            &json!({"reason": "mark-70"}),
        );
        held.data["status"] = status.clone();
        let mut stopped = event(version as u64 + 1, name, version, true, &data);
        stopped.data["status"] = status;
        events.truncate(version - 1);
        events.extend([held, stopped]);
        history.commands.clear();
        history.orders.get_mut(&ORDER).unwrap().shown = None;
        let verdicts = judge(&watched(history), Rules::default());
        let found = verdicts.iter().flat_map(|it| &it.violations);
        let found = found.filter(|it| it.what.contains("order_held"));
        assert_eq!(found.count(), 1, "{name}: {verdicts:?}");
    }
}

#[test]
fn pieces_that_came_back_and_are_not_on_the_shelf_are_found() {
    let mut history = shop();
    history.shelves[0].on_hand = 7;
    assert_eq!(broken(&history), [Invariant::StockConserved]);
}

/// Two orders of one product, the second amended from 1 piece to as many as this, with 3 of 10 gone and one back.
fn amended_to(quantity: i64, outcome: Outcome) -> History {
    let mut history = shop();
    let place = Action::Place { lines: lines(1) };
    let amend = Action::Amend {
        lines: lines(quantity),
    };
    let is_applied = matches!(outcome, Outcome::Applied { .. });
    let placed = json!({"lines": lines(1), "customer_id": "mark-80"});
    let mut made = vec![event(1, "placed", 80, false, &placed)];
    if is_applied {
        let data = json!({"lines": lines(quantity)});
        made.push(event(2, "amended", 81, false, &data));
    }
    for it in &mut made {
        it.order = OTHER;
    }
    let mut commands = vec![
        sent(80, place, (5_000, 5_010), applied(1)),
        sent(81, amend, (5_020, 5_030), outcome),
    ];
    for it in &mut commands {
        it.order = OTHER;
    }
    history.commands.extend(commands);
    let account = Account {
        events: made,
        shown: None,
    };
    history.orders.insert(OTHER, account);
    history.shelves[0].reserved = if is_applied { quantity } else { 1 };
    let mut history = watched(history);
    for stream in &mut history.streams {
        for seen in &mut stream.sightings {
            if seen.event.order == OTHER {
                seen.at += 5_000;
            }
        }
    }
    history
}

#[test]
fn pieces_that_an_amendment_promised_twice_are_found() {
    assert_eq!(broken(&amended_to(8, applied(2))), []);
    let mut history = amended_to(9, applied(2));
    // On the shelf the ninth was found meanwhile.
    history.shelves[0].on_hand = 9;
    let found = broken(&history);
    assert_eq!(found, [Invariant::StockConserved]);
}

#[test]
fn an_amendment_rejected_for_stock_that_was_there_is_found() {
    let short = || rejected(1, "insufficient_stock");
    // Its own piece is among those that it may use again.
    assert_eq!(broken(&amended_to(9, short())), []);
    assert_eq!(broken(&amended_to(8, short())), [Invariant::StockConserved]);
}
