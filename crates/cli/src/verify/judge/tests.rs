//! A sound history is judged sound, and every kind of damage is found.

use orderly_domain::{
    Action, Command, CommandId, Currency, Decision, LineQuantity, NewLine, OrderId, Pay, PaymentId,
    PaymentResult, Place, ProducerId, RecordPayment, Return, Ship, Sku, StockLevel, StockLevels,
    Version, decide, evolve, movements,
};
use orderly_protocol::{
    CommandOutcome, Fingerprint, Outcome, RecordedEvent, Timestamp, event_data, order_state,
};
use orderly_store::{LedgerMovement, ProjectedOrder};
use uuid::Uuid;

use super::{History, differences};

const ORDER: OrderId = OrderId(Uuid::from_u128(1));

fn actions() -> Vec<Action> {
    let sku = Sku::new("MUG").unwrap();
    let line = NewLine {
        sku,
        quantity: 3,
        unit_price_minor: 500,
    };
    let currency = Currency::new("EUR").unwrap();
    let place = Place {
        customer_id: "c-1".into(),
        currency,
        lines: vec![line],
        note: None,
    };
    let record = RecordPayment {
        payment_id: PaymentId(Uuid::from_u128(101)),
        result: PaymentResult::Captured,
        amount_minor: 1_500,
        reference: "r".into(),
    };
    vec![
        Action::Place(place),
        Action::Pay(Pay {
            method: "card".into(),
        }),
        Action::RecordPayment(record),
        Action::Ship(Ship {
            lines: None,
            carrier: "dhl".into(),
            tracking: "t".into(),
        }),
        Action::Deliver,
        Action::Return(Return {
            lines: vec![LineQuantity {
                line: 1,
                quantity: 1,
            }],
        }),
    ]
}

/// An order's whole life as the tables hold it. Command n has the id 100 + n.
fn sound() -> History {
    let mut stock = StockLevels::default();
    stock.insert(
        Sku::new("MUG").unwrap(),
        Some(StockLevel {
            on_hand: 10,
            reserved: 0,
        }),
    );
    let mut order = None;
    let mut history = History {
        order_id: ORDER,
        order: None,
        events: vec![],
        outcomes: vec![],
        movements: vec![],
    };
    for (number, action) in actions().into_iter().enumerate() {
        let command_id = CommandId(Uuid::from_u128(100 + number as u128));
        let name = action.name().to_owned();
        let command = Command {
            command_id,
            order_id: ORDER,
            expected_version: None,
            action,
        };
        let Ok(Decision::Applied(event)) = decide(order.as_ref(), &stock, &command) else {
            panic!("{name} is applied")
        };
        let after = evolve(order.as_ref(), ORDER, &event).unwrap();
        for movement in movements(order.as_ref(), &event) {
            stock.apply(&movement).unwrap();
            history.movements.push(LedgerMovement {
                order_id: ORDER,
                version: after.version,
                movement,
            });
        }
        history.events.push(RecordedEvent {
            order_id: ORDER,
            version: after.version,
            command_id,
            event_type: event.name().to_owned(),
            data: event_data(&after, &event),
            recorded_at: Timestamp::UNIX_EPOCH,
            traceparent: None,
        });
        history
            .outcomes
            .push(outcome(command_id, Outcome::Applied, after.version));
        order = Some(after);
    }
    let order = order.unwrap();
    history.order = Some(ProjectedOrder {
        order_id: ORDER,
        version: order.version,
        status: order.status.as_str().to_owned(),
        held: order.hold.is_some(),
        customer_id: order.customer_id.clone(),
        currency: order.currency.to_string(),
        total_minor: order.total_minor(),
        captured_minor: order.captured_minor(),
        refunded_minor: order.refunded_minor(),
        refund_pending_minor: order.refund_pending_minor(),
        state: order_state(&order),
    });
    history
}

fn outcome(command_id: CommandId, outcome: Outcome, version: Version) -> CommandOutcome {
    CommandOutcome {
        command_id,
        order_id: ORDER,
        producer: ProducerId(Uuid::nil()),
        action_type: "any".to_owned(),
        fingerprint: Fingerprint([0; 32]),
        outcome,
        version,
        rejection: None,
        accepted_at: Timestamp::UNIX_EPOCH,
        decided_at: Timestamp::UNIX_EPOCH,
    }
}

/// What is found once `damage` was done.
fn found(damage: impl FnOnce(&mut History)) -> String {
    let mut history = sound();
    damage(&mut history);
    let found: Vec<_> = differences(&history)
        .iter()
        .map(|d| format!("{}: {}", d.subject, d.what))
        .collect();
    found.join("; ")
}

fn order(history: &mut History) -> &mut ProjectedOrder {
    history.order.as_mut().unwrap()
}

#[test]
fn a_sound_history_has_no_difference() {
    assert_eq!(found(|_| {}), "");
}

#[test]
fn rejections_of_an_order_that_never_was_are_sound() {
    let rejected = outcome(CommandId(Uuid::nil()), Outcome::Rejected, Version::NONE);
    let history = History {
        order_id: ORDER,
        order: None,
        events: vec![],
        outcomes: vec![rejected],
        movements: vec![],
    };
    assert_eq!(differences(&history), []);
}

#[test]
fn a_missing_event_is_found() {
    assert!(found(|h| drop(h.events.remove(2))).contains("comes where version 3 is due"));
    assert!(found(|h| h.events.clear()).contains("without a readable first event"));
}

#[test]
fn a_state_that_is_not_the_replay_is_found() {
    let damaged = found(|h| {
        let state = order(h).state.replace("\"c-1\"", "\"c-2\"");
        order(h).state = state;
    });
    assert!(damaged.contains("its state is not the replay"), "{damaged}");
    assert!(found(|h| order(h).state = "{".to_owned()).contains("its state cannot be read"));
    assert!(found(|h| h.order = None).contains("has events but no order"));
}

#[test]
fn every_column_beside_the_state_is_compared() {
    let damages: [fn(&mut ProjectedOrder); 9] = [
        |row| row.version = row.version.next(),
        |row| row.status = "paid".to_owned(),
        |row| row.held = !row.held,
        |row| row.customer_id.push('x'),
        |row| row.currency = "GBP".to_owned(),
        |row| row.total_minor += 1,
        |row| row.captured_minor -= 1,
        |row| row.refunded_minor += 1,
        |row| row.refund_pending_minor += 1,
    ];
    for damage in damages {
        let found = found(|h| damage(order(h)));
        assert_eq!(found.matches("column").count(), 1, "{found}");
    }
}

#[test]
fn a_lost_or_changed_movement_is_found() {
    assert!(found(|h| drop(h.movements.remove(0))).contains("moves stock by"));
    assert!(found(|h| h.movements[0].movement.reserved += 1).contains("moves stock by"));
    let orphan = found(|h| {
        let mut movement = h.movements[0].clone();
        movement.version = Version(99);
        h.movements.push(movement);
    });
    assert!(
        orphan.contains("from version 99 on without an event"),
        "{orphan}"
    );
}

#[test]
fn outcomes_and_events_must_name_each_other() {
    assert!(found(|h| drop(h.outcomes.remove(1))).contains("has no applied outcome"));
    assert!(
        found(|h| h.outcomes[1].outcome = Outcome::Rejected)
            .contains("was not applied and made the event")
    );
    assert!(found(|h| h.outcomes[1].version = Version(5)).contains("was applied as version 5"));
    let without_event = outcome(
        CommandId(Uuid::from_u128(999)),
        Outcome::Applied,
        Version(3),
    );
    assert!(found(|h| h.outcomes.push(without_event)).contains("was applied and made no event"));
    let from_the_future = outcome(
        CommandId(Uuid::from_u128(999)),
        Outcome::Rejected,
        Version(50),
    );
    assert!(found(|h| h.outcomes.push(from_the_future)).contains("was decided against version 50"));
}

#[test]
fn two_events_of_one_command_are_found() {
    assert!(
        found(|h| h.events[3].command_id = h.events[2].command_id)
            .contains("two events of one command")
    );
}

#[test]
fn an_event_that_tells_another_status_is_found() {
    let damaged = found(|h| {
        let data = h.events[0]
            .data
            .get()
            .replace("\"status\":\"placed\"", "\"status\":\"paid\"");
        h.events[0].data = serde_json::value::RawValue::from_string(data).unwrap();
    });
    assert!(
        damaged.contains("tells another order, version or status"),
        "{damaged}"
    );
}
