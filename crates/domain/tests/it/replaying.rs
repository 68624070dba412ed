//! `evolve` applies facts, and refuses those that cannot be facts about this order.

use orderly_domain::{Effect, Event, OrderId, Status, Unreplayable, Version, evolve, movements};
use uuid::Uuid;

use crate::scenario::{
    ORDER, captured, declined, given, line, new_line, paid_order, payment_id, placed, refund_id,
    returned, shipped,
};

fn refused(events: &[Event], event: &Event, why: &Unreplayable) {
    let order = given(events).order;
    assert_eq!(evolve(order.as_ref(), ORDER, event).as_ref(), Err(why));
}

#[test]
fn an_event_that_does_not_fit_is_refused() {
    let placed = placed(&[new_line("apple", 4, 250)]);
    refused(
        std::slice::from_ref(&placed),
        &placed,
        &Unreplayable::AlreadyPlaced,
    );
    refused(&[], &Event::Delivered, &Unreplayable::NotPlaced);
    refused(&[], &captured(1, 1_000), &Unreplayable::NotPlaced);

    let paid = paid_order();
    let unknown_payment = Unreplayable::Payment(payment_id(9));
    refused(&paid, &captured(9, 1_000), &unknown_payment);
    refused(&paid, &declined(9), &unknown_payment);
    let completed = Event::RefundCompleted {
        refund_id: refund_id(9),
        amount_minor: 1,
    };
    refused(&paid, &completed, &Unreplayable::Refund(refund_id(9)));

    for number in [0, 2, u32::MAX] {
        refused(
            &paid,
            &shipped(&[line(number, 1)]),
            &Unreplayable::Line(number),
        );
        refused(
            &paid,
            &returned(&[line(number, 1)]),
            &Unreplayable::Line(number),
        );
    }
    let twice = shipped(&[line(1, i64::MAX), line(1, 1)]);
    refused(&paid, &twice, &Unreplayable::Line(1));
}

#[test]
fn the_events_of_one_order_do_not_apply_to_another() {
    let order = given(&paid_order()).order;
    let other = OrderId(Uuid::from_u128(1));
    let result = evolve(order.as_ref(), other, &Event::Delivered);
    assert_eq!(result, Err(Unreplayable::OtherOrder(ORDER)));
}

#[test]
fn rules_are_not_judged_again() {
    // An event that the rules of today would refuse is still a fact.
    let order = given(&[placed(&[new_line("apple", 4, 250)])]).order;
    let after = evolve(order.as_ref(), ORDER, &Event::Delivered).unwrap();
    assert_eq!(
        (after.status, after.version),
        (Status::Delivered, Version(2))
    );
}

#[test]
fn the_input_of_evolve_stays_as_it_was() {
    let order = given(&paid_order()).order;
    let copy = order.clone();
    evolve(order.as_ref(), ORDER, &shipped(&[line(1, 4)])).unwrap();
    assert_eq!(order, copy);
}

#[test]
fn only_goods_and_reservations_move_stock() {
    let order = given(&paid_order()).order;
    for event in [
        Event::Delivered,
        Event::Released,
        captured(1, 1),
        declined(1),
    ] {
        assert_eq!(movements(order.as_ref(), &event), []);
    }
    assert_eq!(movements(None, &shipped(&[line(1, 1)])), []);
    let same = Event::Amended {
        lines: vec![new_line("apple", 4, 1)],
    };
    assert_eq!(
        movements(order.as_ref(), &same),
        [],
        "what moves nothing is left out"
    );
}

#[test]
fn an_effect_is_part_of_three_events_only() {
    let void = Effect::Void {
        payment_id: payment_id(1),
    };
    let event = Event::Cancelled {
        reason: String::new(),
        effect: Some(void.clone()),
    };
    assert_eq!(event.effect(), Some(&void));
    assert_eq!(captured(1, 1).effect(), None);
    assert_eq!(Event::Delivered.effect(), None);
}
