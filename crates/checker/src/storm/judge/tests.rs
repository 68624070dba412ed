//! Histories written by hand: one that is right, and that one broken in one place at a time.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Invariant, Rules, judge};
use crate::storm::history::{
    Account, Action, Answer, Attempt, Event, Goods, History, Line, Micros, Money, Outcome, Resized,
    Sent, Shelf, Shown, Sighting, Stream,
};

mod batch;
mod kept;
mod shop;

const ORDER: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const SKU: &str = "S";
const STOCKED: i64 = 10;

/// Places of the commands in [`clean`].
const NOTE: usize = 1;
const HOLD: usize = 2;
const PAY: usize = 3;
const PLACE_OTHER: usize = 5;
const GIVEN_UP: usize = 6;

fn id(number: usize) -> Uuid {
    Uuid::from_u128(100 + number as u128)
}

fn accepted(number: usize) -> Answer {
    Answer::Accepted {
        command_id: id(number),
        location: format!("/v1/commands/{}", id(number)),
    }
}

/// Command `number`, sent and answered at these times.
fn sent(number: usize, action: Action, (began, ended): (Micros, Micros), outcome: Outcome) -> Sent {
    Sent {
        key: format!("key-{number}"),
        mark: format!("mark-{number}"),
        order: ORDER,
        action,
        expected_version: None,
        batch: None,
        attempts: vec![Attempt {
            began,
            ended,
            answer: accepted(number),
        }],
        given_up: false,
        outcome: Some(outcome),
    }
}

fn applied(version: u64) -> Outcome {
    Outcome::Applied { version }
}

fn rejected(version: u64, code: &str) -> Outcome {
    Outcome::Rejected {
        version,
        code: code.to_owned(),
    }
}

fn lines(quantity: i64) -> Vec<Line> {
    vec![Line {
        sku: SKU.to_owned(),
        quantity,
        unit_price_minor: 100,
    }]
}

fn goods(quantity: i64, shipped: i64, returned: i64) -> Goods {
    Goods {
        line: lines(quantity).remove(0),
        shipped,
        returned,
    }
}

fn note() -> Action {
    Action::Annotate {
        key: "note".to_owned(),
    }
}

/// Event `version` of [`ORDER`], made by command `number`; `data` says what is special about it.
fn event(version: u64, name: &str, number: usize, held: bool, data: &Value) -> Event {
    let mut all = json!({"status": "placed", "held": held, "customer_id": "mark-0"});
    for (member, value) in data.as_object().unwrap() {
        all[member] = value.clone();
    }
    Event {
        order: ORDER,
        version,
        name: name.to_owned(),
        command_id: id(number),
        data: all,
    }
}

fn noted(version: u64, number: usize, held: bool) -> Event {
    let data = json!({"key": "note", "value": format!("mark-{number}")});
    event(version, "annotated", number, held, &data)
}

/// An order that is placed, written on, held while it should be paid, released, and written on by somebody who never knew; and
/// another one that there are not enough pieces for.
fn clean() -> History {
    let place = Action::Place { lines: lines(2) };
    let mut given_up = sent(GIVEN_UP, note(), (90, 95), applied(5));
    given_up.attempts[0].answer = Answer::Lost {
        why: "hung up".to_owned(),
    };
    given_up.given_up = true;
    given_up.outcome = None;
    let place_other = Action::Place { lines: lines(9) };
    let short = rejected(0, "insufficient_stock");
    let mut other = sent(PLACE_OTHER, place_other, (85, 88), short);
    other.order = OTHER;
    let mut history = History {
        commands: vec![
            sent(0, place, (10, 20), applied(1)),
            sent(NOTE, note(), (30, 40), applied(2)),
            sent(HOLD, Action::Hold, (32, 45), applied(3)),
            sent(PAY, Action::Pay, (50, 60), rejected(3, "order_held")),
            sent(4, Action::Release, (70, 80), applied(4)),
            other,
            given_up,
        ],
        shelves: vec![Shelf {
            sku: SKU.to_owned(),
            stocked: STOCKED,
            on_hand: STOCKED,
            reserved: 2,
        }],
        ..History::default()
    };
    let placed = json!({"lines": [{"sku": SKU, "quantity": 2, "unit_price_minor": 100}]});
    let account = Account {
        events: vec![
            event(1, "placed", 0, false, &placed),
            noted(2, NOTE, false),
            event(3, "held", HOLD, true, &json!({"reason": "mark-2"})),
            event(4, "released", 4, false, &json!({})),
            noted(5, GIVEN_UP, false),
        ],
        shown: Some(Shown {
            version: 5,
            status: "placed".to_owned(),
            held: false,
            annotations: [("note".to_owned(), "mark-6".to_owned())].into(),
            recipient: None,
            lines: vec![goods(2, 0, 0)],
            money: Money::default(),
        }),
    };
    history.orders.insert(ORDER, account);
    history.orders.insert(OTHER, Account::default());
    watched(history)
}

/// With two subscribers who saw everything.
fn watched(mut history: History) -> History {
    let events = history.orders.values().flat_map(|it| &it.events);
    let sightings = events.map(|event| Sighting {
        at: event.version * 10 + 15,
        id: format!("{}.0", event.version),
        event: Arc::new(event.clone()),
    });
    let stream = Stream {
        sightings: sightings.collect(),
        ..Stream::default()
    };
    history.streams = vec![stream.clone(), stream];
    history
}

fn events(history: &mut History) -> &mut Vec<Event> {
    &mut history.orders.get_mut(&ORDER).unwrap().events
}

/// The invariants that do not hold, each as often as it is violated.
fn broken(history: &History) -> Vec<Invariant> {
    broken_under(history, Rules::default())
}

fn broken_under(history: &History, rules: Rules) -> Vec<Invariant> {
    let verdicts = judge(history, rules);
    let violations = verdicts.iter().flat_map(|it| &it.violations);
    violations.map(|it| it.invariant).collect()
}

#[test]
fn a_right_history_passes_and_every_invariant_looked_at_something() {
    for verdict in judge(&clean(), Rules::default()) {
        assert_eq!(verdict.violations, [], "{}", verdict.invariant.as_str());
        assert!(verdict.checked > 0, "{}", verdict.invariant.as_str());
    }
}

#[test]
fn an_accepted_command_that_is_never_decided_is_found() {
    let mut history = clean();
    for lost in [
        Outcome::Queued,
        Outcome::KeyReused,
        Outcome::Missing {
            code: "not_found".to_owned(),
        },
    ] {
        history.commands[PAY].outcome = Some(lost);
        assert_eq!(broken(&history), [Invariant::AcceptedHasOneOutcome]);
    }
}

#[test]
fn a_parked_command_is_found_unless_that_is_allowed() {
    let mut history = clean();
    history.commands[PAY].outcome = Some(Outcome::Parked);
    assert_eq!(broken(&history), [Invariant::AcceptedHasOneOutcome]);
    let tolerant = Rules {
        parked_is_allowed: true,
    };
    assert_eq!(broken_under(&history, tolerant), []);
}

#[test]
fn an_outcome_that_is_not_what_its_sender_was_told_is_found() {
    let mut history = clean();
    history.commands[NOTE].attempts[0].answer = Answer::Applied {
        command_id: id(NOTE),
        version: 7,
        location: String::new(),
    };
    assert_eq!(broken(&history), [Invariant::AcceptedHasOneOutcome]);
}

#[test]
fn a_command_that_overtakes_one_accepted_before_it_was_sent_is_found() {
    let mut history = clean();
    history.commands[NOTE].outcome = Some(applied(3));
    history.commands[HOLD].outcome = Some(applied(2));
    let events = events(&mut history);
    events[1] = event(2, "held", HOLD, true, &json!({"reason": "mark-2"}));
    events[2] = noted(3, NOTE, true);
    let mut history = watched(history);
    assert_eq!(broken(&history), [], "they were under way together");
    history.commands[HOLD].attempts[0].began = 41;
    assert_eq!(broken(&history), [Invariant::RealTimeOrder]);
}

#[test]
fn a_rejection_that_is_older_than_what_was_accepted_before_it_is_found() {
    let mut history = clean();
    // Legal as a rejection: the order did not exist at version 0.
    history.commands[PAY].outcome = Some(rejected(0, "order_not_found"));
    assert_eq!(broken(&history), [Invariant::RealTimeOrder]);
}

#[test]
fn an_event_that_its_state_does_not_allow_is_found() {
    let mut history = clean();
    // Held twice.
    events(&mut history)[3] = event(4, "held", HOLD, true, &json!({"reason": "mark-2"}));
    let found = broken(&watched(history));
    assert!(found.contains(&Invariant::Linearizable), "{found:?}");
}

#[test]
fn a_rejection_that_does_not_follow_is_found() {
    let mut history = clean();
    history.commands[PAY].outcome = Some(rejected(3, "illegal_transition"));
    assert_eq!(broken(&history), [Invariant::Linearizable]);
    // Under way together with what released it.
    history.commands[PAY].attempts[0].began = 31;
    history.commands[PAY].attempts[0].ended = 86;
    history.commands[PAY].outcome = Some(rejected(4, "order_held"));
    assert_eq!(broken(&history), [Invariant::Linearizable], "it was legal");
    history.commands[PAY].outcome = Some(rejected(9, "order_held"));
    let found = broken(&history);
    assert!(found.contains(&Invariant::Linearizable), "{found:?}");
}

#[test]
fn a_command_applied_at_another_version_than_it_expected_is_found() {
    let mut history = clean();
    history.commands[NOTE].expected_version = Some(1);
    assert_eq!(broken(&history), []);
    history.commands[NOTE].expected_version = Some(4);
    assert_eq!(broken(&history), [Invariant::Linearizable]);
}

#[test]
fn an_order_that_lost_an_update_is_found() {
    let mut history = clean();
    let order = history.orders.get_mut(&ORDER).unwrap();
    order.shown.as_mut().unwrap().annotations.clear();
    assert_eq!(broken(&history), [Invariant::Linearizable]);
}

#[test]
fn an_event_whose_status_does_not_follow_is_found() {
    let mut history = clean();
    events(&mut history)[4].data["status"] = json!("paid");
    assert_eq!(broken(&watched(history)), [Invariant::Linearizable]);
}

#[test]
fn a_gap_in_the_versions_is_found() {
    let mut history = clean();
    history.commands.remove(NOTE);
    events(&mut history).remove(1);
    let mut history = watched(history);
    // Subscribers who were told that they missed something are no witnesses.
    for stream in &mut history.streams {
        stream.resets = 1;
    }
    assert_eq!(broken(&history), [Invariant::VersionsWithoutGap]);
}

#[test]
fn an_event_that_nobody_sent_is_found() {
    let mut history = clean();
    history.commands.remove(GIVEN_UP);
    assert_eq!(broken(&history), [Invariant::EventsMatchCommands]);
}

#[test]
fn an_event_of_a_refused_command_is_found() {
    let mut history = clean();
    history.commands[GIVEN_UP].attempts[0].answer = Answer::Refused {
        status: 422,
        code: "invalid_command".to_owned(),
    };
    assert_eq!(broken(&history), [Invariant::EventsMatchCommands]);
}

#[test]
fn an_applied_command_without_its_event_is_found() {
    let mut history = clean();
    events(&mut history).pop();
    history.commands[GIVEN_UP].attempts[0].answer = accepted(GIVEN_UP);
    history.commands[GIVEN_UP].outcome = Some(applied(5));
    history.orders.get_mut(&ORDER).unwrap().shown = None;
    let history = watched(history);
    assert_eq!(broken(&history), [Invariant::EventsMatchCommands]);
}

#[test]
fn an_event_that_never_came_through_the_stream_is_found() {
    let mut history = clean();
    for stream in &mut history.streams {
        stream.sightings.pop();
    }
    assert_eq!(broken(&history), [Invariant::EventsMatchCommands]);
}

#[test]
fn pieces_that_are_not_accounted_for_are_found() {
    let mut history = clean();
    history.shelves[0].reserved = 3;
    assert_eq!(broken(&history), [Invariant::StockConserved]);
    history.shelves[0].reserved = 2;
    history.shelves[0].on_hand = 9;
    assert_eq!(broken(&history), [Invariant::StockConserved]);
}

/// [`clean`], with the other order placed all the same, and cancelled in the end.
fn oversold_for_a_while() -> History {
    let mut history = clean();
    history.commands[PLACE_OTHER].outcome = Some(applied(1));
    let mut cancel = sent(7, Action::Cancel, (200, 210), applied(2));
    cancel.order = OTHER;
    history.commands.push(cancel);
    let lines = json!([{"sku": SKU, "quantity": 9, "unit_price_minor": 100}]);
    let placed = json!({"lines": lines, "customer_id": "mark-5"});
    let cancelled = json!({"status": "cancelled", "reason": "mark-7"});
    let events = [
        event(1, "placed", PLACE_OTHER, false, &placed),
        event(2, "cancelled", 7, false, &cancelled),
    ];
    let events = events.map(|event| Event {
        order: OTHER,
        ..event
    });
    let account = Account {
        events: events.into(),
        shown: None,
    };
    history.orders.insert(OTHER, account);
    watched(history)
}

#[test]
fn pieces_that_were_promised_twice_for_a_while_are_found() {
    let mut history = oversold_for_a_while();
    assert_eq!(broken(&history), [Invariant::StockConserved]);
    // With enough of them nothing is wrong.
    history.shelves[0].stocked = 11;
    history.shelves[0].on_hand = 11;
    assert_eq!(broken(&history), []);
}

#[test]
fn a_shortage_while_there_was_enough_is_found() {
    let mut history = clean();
    history.commands[PLACE_OTHER].action = Action::Place { lines: lines(8) };
    assert_eq!(broken(&history), [Invariant::StockConserved]);
}

#[test]
fn a_key_with_two_effects_is_found() {
    let mut history = clean();
    // The same note under another command's id: a retry that was not recognized.
    events(&mut history).push(noted(6, NOTE, false));
    events(&mut history)[5].command_id = id(77);
    history.orders.get_mut(&ORDER).unwrap().shown = None;
    assert_eq!(broken(&watched(history)), [Invariant::OneEffectPerKey]);
}

#[test]
fn a_key_with_two_commands_is_found() {
    let mut history = clean();
    let again = Attempt {
        began: 41,
        ended: 42,
        answer: accepted(77),
    };
    history.commands[NOTE].attempts.push(again);
    assert_eq!(broken(&history), [Invariant::OneEffectPerKey]);
}

#[test]
fn two_requests_under_one_key_may_have_one_effect() {
    let mut history = clean();
    let mut other = sent(8, note(), (91, 99), Outcome::KeyReused);
    other.key.clone_from(&history.commands[NOTE].key);
    other.attempts[0].answer = accepted(NOTE);
    history.commands.push(other);
    assert_eq!(broken(&history), []);
    events(&mut history).push(noted(6, 8, false));
    history.orders.get_mut(&ORDER).unwrap().shown = None;
    assert_eq!(broken(&watched(history)), [Invariant::OneEffectPerKey]);
}

#[test]
fn a_command_without_a_mark_whose_key_belongs_to_another_had_no_effect() {
    let mut history = clean();
    let mut release = sent(8, Action::Release, (46, 49), Outcome::KeyReused);
    release.key.clone_from(&history.commands[NOTE].key);
    release.attempts[0].answer = accepted(NOTE);
    history.commands.push(release);
    assert_eq!(broken(&history), []);
    // The other way round: what was released is not of the note under the same key.
    let mut other = sent(9, note(), (71, 81), Outcome::KeyReused);
    other.key.clone_from(&history.commands[4].key);
    other.attempts[0].answer = accepted(4);
    history.commands.push(other);
    assert_eq!(broken(&history), []);
}

#[test]
fn a_resize_that_came_to_no_end_or_to_another_is_found() {
    let resized = Resized {
        began: 10,
        ended: Some(90),
        from: 16,
        to: 5,
        took_effect: true,
    };
    let with = |resized: Resized| {
        let mut history = clean();
        history.resizes = vec![resized];
        broken(&history)
    };
    assert_eq!(with(resized), []);
    let stuck = Resized {
        ended: None,
        ..resized
    };
    let aborted = Resized {
        took_effect: false,
        ..resized
    };
    for it in [stuck, aborted] {
        assert_eq!(with(it), [Invariant::RecoversByItself]);
    }
}

#[test]
fn a_subscriber_who_missed_something_is_found() {
    let mut history = clean();
    history.streams[1].sightings.pop();
    assert_eq!(broken(&history), [Invariant::SubscribersAgree]);
}

#[test]
fn a_subscriber_who_saw_another_order_is_found_and_repetitions_are_not() {
    let mut history = clean();
    let repeated = history.streams[1].sightings[1].clone();
    history.streams[1].sightings.push(repeated);
    assert_eq!(broken(&history), [], "it came twice");
    history.streams[1].sightings.swap(1, 2);
    assert_eq!(broken(&history), [Invariant::SubscribersAgree]);
}

#[test]
fn a_subscriber_who_saw_what_the_api_does_not_show_is_found() {
    let mut history = clean();
    let seen = &mut history.streams[0].sightings[1];
    Arc::make_mut(&mut seen.event).data["value"] = json!("something else");
    assert_eq!(broken(&history), [Invariant::SubscribersAgree]);
}
