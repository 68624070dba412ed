//! Rule 5: a hold stops an order, but not what is already on its way. Which commands it stops is in `transitions`.

use orderly_domain::{Event, PaymentResult, RejectionCode, Status};

use crate::scenario::{
    authorized, given, held, hold, new_line, payment_requested, placed, record_payment, refund,
    shipped_order,
};

#[test]
fn a_hold_keeps_its_reason_and_shows_it_to_whoever_is_stopped() {
    let mut events = shipped_order();
    events.push(held());
    let world = given(&events);
    assert_eq!(world.order().hold.as_deref(), Some("fraud check"));
    let rejection = world.when(refund(1)).rejected(RejectionCode::OrderHeld);
    assert_eq!(
        rejection.detail,
        "The order is held (fraud check); refund is possible after release."
    );
}

#[test]
fn the_gateways_answer_reaches_a_held_order_and_leaves_it_held() {
    let events = [
        placed(&[new_line("apple", 4, 250)]),
        payment_requested(1, 1_000),
        held(),
    ];
    let after = given(&events).when(record_payment(1, PaymentResult::Authorized, 1_000));
    let after = after.then(&authorized(1, 1_000));
    let after = after
        .when(record_payment(1, PaymentResult::Captured, 1_000))
        .applied()
        .1;
    assert_eq!(
        (after.order().status, after.order().held()),
        (Status::Paid, true)
    );
}

#[test]
fn an_order_can_be_held_again_after_a_release() {
    let events = [
        placed(&[new_line("apple", 4, 250)]),
        held(),
        Event::Released,
    ];
    given(&events).when(hold()).then(&held());
}
