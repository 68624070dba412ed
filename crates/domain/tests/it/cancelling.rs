//! Rule 8: a cancellation frees stock and gives the money back, also money that comes late.

use orderly_domain::{
    Effect, Event, PaymentResult, PaymentStatus, RefundId, RefundResult, RejectionCode, Status,
};

use crate::scenario::{
    COMMAND, authorized, cancel, cancelled, captured, declined, given, line, new_line, paid_order,
    payment_id, payment_requested, placed, record_payment, record_refund, refund_id,
    refund_requested, shipped,
};

fn cancelled_with(effect: Effect) -> Event {
    Event::Cancelled {
        reason: "changed my mind".to_owned(),
        effect: Some(effect),
    }
}

fn refund_of(amount_minor: i64) -> Effect {
    Effect::Refund {
        refund_id: RefundId(COMMAND.0),
        payment_id: payment_id(1),
        amount_minor,
    }
}

fn pending() -> Vec<Event> {
    vec![
        placed(&[new_line("apple", 4, 250)]),
        payment_requested(1, 1_000),
    ]
}

/// Cancelled while payment 1 was open.
fn cancelled_early() -> Vec<Event> {
    let mut events = pending();
    events.push(cancelled_with(Effect::Void {
        payment_id: payment_id(1),
    }));
    events
}

#[test]
fn an_unpaid_order_frees_its_stock_and_asks_nothing_of_the_gateway() {
    let events = [placed(&[
        new_line("apple", 4, 250),
        new_line("apple", 1, 9),
    ])];
    let after = given(&events).when(cancel()).then(&cancelled());
    assert_eq!(
        (after.order().status, after.level("apple")),
        (Status::Cancelled, (100, 0))
    );

    let declined = [&pending()[..], &[declined(1)]].concat();
    given(&declined).when(cancel()).then(&cancelled());
}

#[test]
fn an_open_payment_is_voided() {
    let authorized = [&pending()[..], &[authorized(1, 1_000)]].concat();
    for events in [pending(), authorized] {
        let void = Effect::Void {
            payment_id: payment_id(1),
        };
        let after = given(&events).when(cancel()).then(&cancelled_with(void));
        assert_eq!(
            (after.level("apple"), after.order().refunds.len()),
            ((100, 0), 0)
        );
    }
}

#[test]
fn what_was_captured_is_refunded_and_pending_until_the_gateway_answers() {
    let after = given(&paid_order())
        .when(cancel())
        .then(&cancelled_with(refund_of(1_000)));
    assert_eq!(after.order().refund_pending_minor(), 1_000);
    let id = COMMAND.0.as_u128();
    let after = after.when(record_refund(id, RefundResult::Refunded));
    let after = after.then(&Event::RefundCompleted {
        refund_id: refund_id(id),
        amount_minor: 1_000,
    });
    assert_eq!(
        (
            after.order().refunded_minor(),
            after.order().refund_pending_minor()
        ),
        (1_000, 0)
    );
    assert_eq!(after.order().status, Status::Cancelled);
}

#[test]
fn what_was_refunded_or_is_pending_is_not_refunded_again() {
    let completed = Event::RefundCompleted {
        refund_id: refund_id(2),
        amount_minor: 300,
    };
    let failed = Event::RefundFailed {
        refund_id: refund_id(4),
        amount_minor: 100,
    };
    let events = [
        &paid_order()[..],
        &[
            refund_requested(2, 1, 300),
            completed,
            refund_requested(3, 1, 200),
        ],
        &[refund_requested(4, 1, 100), failed],
    ]
    .concat();
    given(&events)
        .when(cancel())
        .then(&cancelled_with(refund_of(500)));

    let all = [&paid_order()[..], &[refund_requested(2, 1, 1_000)]].concat();
    given(&all).when(cancel()).then(&cancelled());
}

#[test]
fn a_paid_order_that_cost_nothing_has_nothing_to_give_back() {
    let waived = Event::PaymentWaived {
        method: "card".to_owned(),
    };
    given(&[placed(&[new_line("apple", 4, 0)]), waived])
        .when(cancel())
        .then(&cancelled());
}

#[test]
fn goods_that_left_cannot_be_cancelled() {
    let events = [&paid_order()[..], &[shipped(&[line(1, 1)])]].concat();
    given(&events)
        .when(cancel())
        .rejected(RejectionCode::IllegalTransition);
}

#[test]
fn a_late_authorization_is_voided() {
    let after = given(&cancelled_early())
        .when(record_payment(1, PaymentResult::Authorized, 1_000))
        .then(&Event::PaymentAuthorized {
            payment_id: payment_id(1),
            amount_minor: 1_000,
            reference: "gateway-1".to_owned(),
            effect: Some(Effect::Void {
                payment_id: payment_id(1),
            }),
        });
    assert_eq!(after.order().status, Status::Cancelled);
}

#[test]
fn a_late_capture_is_refunded_in_full() {
    let late_authorization = [&cancelled_early()[..], &[authorized(1, 1_000)]].concat();
    for events in [cancelled_early(), late_authorization] {
        let after = given(&events)
            .when(record_payment(1, PaymentResult::Captured, 1_000))
            .then(&Event::PaymentCaptured {
                payment_id: payment_id(1),
                amount_minor: 1_000,
                reference: "gateway-1".to_owned(),
                effect: Some(refund_of(1_000)),
            });
        let order = after.order();
        assert_eq!(
            (order.captured_minor(), order.refund_pending_minor()),
            (1_000, 1_000)
        );
        assert_eq!(order.status, Status::Cancelled);
        let id = COMMAND.0.as_u128();
        after
            .when(record_refund(id, RefundResult::Refunded))
            .applied();
    }
}

#[test]
fn a_late_decline_is_recorded_and_the_order_stays_cancelled() {
    let after = given(&cancelled_early())
        .when(record_payment(1, PaymentResult::Declined, 0))
        .then(&declined(1));
    assert_eq!(after.order().status, Status::Cancelled);
    assert_eq!(after.order().payments[0].status, PaymentStatus::Declined);
}

#[test]
fn a_late_capture_of_another_amount_is_refused() {
    given(&cancelled_early())
        .when(record_payment(1, PaymentResult::Captured, 999))
        .rejected(RejectionCode::InvalidAmount);
    let captured = [&cancelled_early()[..], &[captured(1, 1_000)]].concat();
    given(&captured)
        .when(record_payment(1, PaymentResult::Captured, 1_000))
        .rejected(RejectionCode::IllegalTransition);
}
