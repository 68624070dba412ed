//! Rule 6: a payment is asked for once, answered by the gateway, and captured whole or not at all.

use orderly_domain::limits::PAYMENTS;
use orderly_domain::{
    Event, MAX_AMOUNT_MINOR, PaymentId, PaymentResult, PaymentStatus, RejectionCode, Status,
    allowed_commands,
};

use crate::scenario::{
    COMMAND, authorized, captured, declined, given, new_line, pay, payment_id, payment_requested,
    placed, places, record_payment,
};

fn pending() -> Vec<Event> {
    vec![
        placed(&[new_line("apple", 4, 250)]),
        payment_requested(1, 1_000),
    ]
}

fn pending_then(event: Event) -> Vec<Event> {
    let mut events = pending();
    events.push(event);
    events
}

#[test]
fn pay_asks_for_the_total_under_its_own_id() {
    let after = given(&[placed(&[new_line("apple", 4, 250), new_line("pear", 1, 5)])])
        .when(pay())
        .then(&payment_requested(COMMAND.0.as_u128(), 1_005));
    let payment = after.order().open_payment().unwrap();
    assert_eq!(payment.payment_id, PaymentId(COMMAND.0));
    assert_eq!(payment.status, PaymentStatus::Requested);
    assert_eq!(after.order().status, Status::PaymentPending);
}

#[test]
fn an_order_that_costs_nothing_is_paid_without_the_gateway() {
    let after = given(&[placed(&[new_line("apple", 4, 0)])])
        .when(pay())
        .then(&Event::PaymentWaived {
            method: "card".to_owned(),
        });
    assert_eq!(
        (after.order().status, after.order().payments.len()),
        (Status::Paid, 0)
    );
}

#[test]
fn an_authorization_is_recorded_and_the_order_waits_on() {
    let after = given(&pending())
        .when(record_payment(1, PaymentResult::Authorized, 1_000))
        .then(&authorized(1, 1_000));
    let payment = after.order().payment(payment_id(1)).unwrap();
    assert_eq!(payment.status, PaymentStatus::Authorized);
    assert_eq!(payment.reference.as_deref(), Some("gateway-1"));
    assert_eq!(after.order().status, Status::PaymentPending);
    assert_eq!(after.order().captured_minor(), 0);
}

#[test]
fn a_capture_pays_the_order() {
    for events in [pending(), pending_then(authorized(1, 1_000))] {
        let after = given(&events)
            .when(record_payment(1, PaymentResult::Captured, 1_000))
            .then(&captured(1, 1_000));
        assert_eq!(
            (after.order().status, after.order().captured_minor()),
            (Status::Paid, 1_000)
        );
    }
}

#[test]
fn after_a_decline_the_order_can_be_paid_again() {
    for events in [pending(), pending_then(authorized(1, 1_000))] {
        let after = given(&events)
            .when(record_payment(1, PaymentResult::Declined, 0))
            .then(&declined(1));
        assert_eq!(after.order().status, Status::Placed);

        let after = after.when(pay()).applied().1;
        assert_eq!(after.order().payments.len(), 2);
        let late = after.when(record_payment(1, PaymentResult::Captured, 1_000));
        late.rejected(RejectionCode::IllegalTransition);
    }
}

#[test]
fn another_amount_than_asked_for_is_not_a_capture() {
    for amount in [0, 999, 1_001] {
        let when = given(&pending()).when(record_payment(1, PaymentResult::Captured, amount));
        let rejection = when.rejected(RejectionCode::InvalidAmount);
        assert_eq!(
            places(&rejection),
            [("/amount_minor", RejectionCode::InvalidAmount)]
        );
        assert_eq!(
            rejection.detail,
            format!("{amount} was captured, but 1000 asked for.")
        );
    }
    // What is merely reserved may differ: nothing was taken.
    given(&pending())
        .when(record_payment(1, PaymentResult::Authorized, 999))
        .applied();
}

#[test]
fn an_amount_that_no_gateway_can_mean_is_refused() {
    for result in [
        PaymentResult::Authorized,
        PaymentResult::Captured,
        PaymentResult::Declined,
    ] {
        for amount in [-1, MAX_AMOUNT_MINOR + 1] {
            let when = given(&pending()).when(record_payment(1, result, amount));
            when.rejected(RejectionCode::InvalidAmount);
        }
    }
}

#[test]
fn the_same_answer_twice_is_refused() {
    let results = [
        (PaymentResult::Authorized, authorized(1, 1_000)),
        (PaymentResult::Captured, captured(1, 1_000)),
        (PaymentResult::Declined, declined(1)),
    ];
    for (result, event) in results {
        given(&pending_then(event))
            .when(record_payment(1, result, 1_000))
            .rejected(RejectionCode::IllegalTransition);
    }
}

#[test]
fn captured_and_declined_are_final() {
    for event in [captured(1, 1_000), declined(1)] {
        for result in [
            PaymentResult::Authorized,
            PaymentResult::Captured,
            PaymentResult::Declined,
        ] {
            given(&pending_then(event.clone()))
                .when(record_payment(1, result, 1_000))
                .rejected(RejectionCode::IllegalTransition);
        }
    }
}

#[test]
fn an_unknown_payment_is_refused_before_its_amount_is_looked_at() {
    given(&pending())
        .when(record_payment(9, PaymentResult::Captured, -1))
        .rejected(RejectionCode::UnknownPayment);
}

#[test]
fn after_the_last_declined_payment_no_other_is_asked_for() {
    let mut events = vec![placed(&[new_line("apple", 4, 250)])];
    for n in 1..u128::try_from(PAYMENTS).unwrap() {
        events.extend([payment_requested(n, 1_000), declined(n)]);
    }
    let world = given(&events).when(pay()).applied().1;
    let last = COMMAND.0.as_u128();
    let world = world
        .when(record_payment(last, PaymentResult::Declined, 0))
        .applied()
        .1;
    assert!(!allowed_commands(world.order.as_ref()).contains(&"pay"));
    world.when(pay()).rejected(RejectionCode::LimitExceeded);
}
