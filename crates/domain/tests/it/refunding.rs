//! Rule 9: refunds asked for and done never exceed what was captured.

use orderly_domain::limits::REFUNDS;
use orderly_domain::{Effect, Event, RefundResult, RejectionCode, Status, allowed_commands};

use crate::scenario::{
    COMMAND, cancel, given, new_line, paid_order, payment_id, placed, places, record_refund,
    refund, refund_id, refund_requested, shipped_order,
};

#[test]
fn a_refund_is_asked_for_under_its_commands_id_and_changes_no_state() {
    let id = COMMAND.0.as_u128();
    let after = given(&shipped_order())
        .when(refund(400))
        .then(&refund_requested(id, 1, 400));
    let order = after.order();
    assert_eq!(
        (order.refund_pending_minor(), order.refunded_minor()),
        (400, 0)
    );
    assert_eq!(
        (order.refundable_minor(), order.status),
        (600, Status::Shipped)
    );
}

#[test]
fn no_more_than_captured_minus_refunded_minus_pending_is_refunded() {
    let completed = Event::RefundCompleted {
        refund_id: refund_id(2),
        amount_minor: 300,
    };
    let events = [
        &paid_order()[..],
        &[
            refund_requested(2, 1, 300),
            completed,
            refund_requested(3, 1, 200),
        ],
    ]
    .concat();
    let rejection = given(&events)
        .when(refund(501))
        .rejected(RejectionCode::InvalidAmount);
    assert_eq!(
        places(&rejection),
        [("/amount_minor", RejectionCode::InvalidAmount)]
    );
    assert_eq!(
        rejection.detail,
        "At most 500 can be refunded (1000 captured, 300 refunded, 200 pending); asked was 501."
    );
    given(&events).when(refund(500)).applied();
}

#[test]
fn a_refund_is_at_least_one_minor_unit() {
    for amount in [i64::MIN, -1, 0] {
        given(&paid_order())
            .when(refund(amount))
            .rejected(RejectionCode::InvalidAmount);
    }
    given(&paid_order()).when(refund(1)).applied();
}

#[test]
fn an_order_that_cost_nothing_has_nothing_to_refund() {
    let waived = Event::PaymentWaived {
        method: "card".to_owned(),
    };
    let world = given(&[placed(&[new_line("apple", 4, 0)]), waived]);
    assert!(!allowed_commands(world.order.as_ref()).contains(&"refund"));
    world.when(refund(1)).rejected(RejectionCode::InvalidAmount);
}

#[test]
fn a_failed_refund_frees_its_amount() {
    let events = [&paid_order()[..], &[refund_requested(2, 1, 1_000)]].concat();
    assert!(!allowed_commands(given(&events).order.as_ref()).contains(&"refund"));
    given(&events)
        .when(refund(1))
        .rejected(RejectionCode::InvalidAmount);

    let after = given(&events)
        .when(record_refund(2, RefundResult::Failed))
        .then(&Event::RefundFailed {
            refund_id: refund_id(2),
            amount_minor: 1_000,
        });
    assert_eq!(after.order().refundable_minor(), 1_000);
    after.when(refund(1_000)).applied();
}

#[test]
fn a_refund_is_answered_once() {
    for first in [RefundResult::Refunded, RefundResult::Failed] {
        for second in [RefundResult::Refunded, RefundResult::Failed] {
            let events = [&paid_order()[..], &[refund_requested(2, 1, 400)]].concat();
            let after = given(&events).when(record_refund(2, first)).applied().1;
            after
                .when(record_refund(2, second))
                .rejected(RejectionCode::IllegalTransition);
        }
    }
    given(&paid_order())
        .when(record_refund(9, RefundResult::Refunded))
        .rejected(RejectionCode::UnknownRefund);
}

#[test]
fn a_cancellation_pays_back_even_when_the_order_has_no_room_for_refunds() {
    let mut events = paid_order();
    for n in 0..u128::try_from(REFUNDS).unwrap() {
        let failed = Event::RefundFailed {
            refund_id: refund_id(100 + n),
            amount_minor: 1,
        };
        events.extend([refund_requested(100 + n, 1, 1), failed]);
    }
    let world = given(&events);
    assert!(!allowed_commands(world.order.as_ref()).contains(&"refund"));
    world.when(refund(1)).rejected(RejectionCode::LimitExceeded);

    let (event, after) = given(&events).when(cancel()).applied();
    let payment_id = payment_id(1);
    let refund_id = refund_id(COMMAND.0.as_u128());
    let all = Effect::Refund {
        refund_id,
        payment_id,
        amount_minor: 1_000,
    };
    assert_eq!(event.effect(), Some(&all));
    assert_eq!(after.order().refund_pending_minor(), 1_000);
}
