//! Rules 7 and 10: goods leave, arrive and come back, never more of them than there are.

use orderly_domain::{Event, MAX_AMOUNT_MINOR, RejectionCode, Status};

use crate::scenario::{
    captured, given, line, new_line, paid_order, payment_requested, placed, places, return_lines,
    returned, ship, ship_all, shipped, shipped_order,
};

/// 4 apples and 2 pears, paid.
fn two_lines() -> Vec<Event> {
    let lines = [new_line("apple", 4, 250), new_line("pear", 2, 100)];
    vec![
        placed(&lines),
        payment_requested(1, 1_200),
        captured(1, 1_200),
    ]
}

#[test]
fn a_shipment_takes_from_what_is_on_hand_and_what_is_reserved() {
    let after = given(&two_lines())
        .when(ship(&[line(1, 3)]))
        .then(&shipped(&[line(1, 3)]));
    assert_eq!(after.order().status, Status::PartiallyShipped);
    assert_eq!(
        (after.level("apple"), after.level("pear")),
        ((97, 1), (100, 2))
    );
}

#[test]
fn a_shipment_without_lines_is_all_that_remains() {
    let all = [line(1, 4), line(2, 2)];
    let after = given(&two_lines()).when(ship_all()).then(&shipped(&all));
    assert_eq!(after.order().status, Status::Shipped);
    assert_eq!(
        (after.level("apple"), after.level("pear")),
        ((96, 0), (98, 0))
    );

    let mut events = two_lines();
    events.push(shipped(&[line(1, 4), line(2, 1)]));
    let after = given(&events)
        .when(ship_all())
        .then(&shipped(&[line(2, 1)]));
    assert_eq!(after.order().status, Status::Shipped);
}

#[test]
fn an_order_is_shipped_when_each_line_is() {
    let after = given(&two_lines()).when(ship(&[line(2, 2)])).applied().1;
    assert_eq!(after.order().status, Status::PartiallyShipped);
    let after = after.when(ship(&[line(1, 4)])).applied().1;
    assert_eq!(after.order().status, Status::Shipped);
}

#[test]
fn events_name_lines_in_their_order() {
    let sorted = [line(1, 1), line(2, 1)];
    given(&two_lines())
        .when(ship(&[line(2, 1), line(1, 1)]))
        .then(&shipped(&sorted));
    let mut events = two_lines();
    events.push(shipped(&[line(1, 4), line(2, 2)]));
    given(&events)
        .when(return_lines(&[line(2, 1), line(1, 1)]))
        .then(&returned(&sorted));
}

#[test]
fn more_than_remains_of_a_line_is_not_shipped() {
    let mut events = two_lines();
    events.push(shipped(&[line(1, 3)]));
    let rejection = given(&events).when(ship(&[line(2, 2), line(1, 2)]));
    let rejection = rejection.rejected(RejectionCode::InvalidQuantity);
    assert_eq!(
        places(&rejection),
        [("/lines/1/quantity", RejectionCode::InvalidQuantity)]
    );
    assert_eq!(
        rejection.detail,
        "Line 1 (apple) has 1 left to be shipped, not 2."
    );
}

#[test]
fn a_line_must_exist_and_be_named_once() {
    for number in [0, 2, u32::MAX] {
        let rejection = given(&paid_order()).when(ship(&[line(number, 1)]));
        let rejection = rejection.rejected(RejectionCode::InvalidQuantity);
        assert_eq!(
            rejection.detail,
            format!("The order has 1 lines, no line {number}.")
        );
        let rejection = given(&shipped_order()).when(return_lines(&[line(number, 1)]));
        rejection.rejected(RejectionCode::InvalidQuantity);
    }
    let twice = [line(1, 1), line(1, 1)];
    given(&paid_order())
        .when(ship(&twice))
        .rejected(RejectionCode::InvalidQuantity);
    given(&shipped_order())
        .when(return_lines(&twice))
        .rejected(RejectionCode::InvalidQuantity);
    for nothing in [&[][..], &[line(1, 0)], &[line(1, -1)]] {
        given(&paid_order())
            .when(ship(nothing))
            .rejected(RejectionCode::InvalidQuantity);
        let when = given(&shipped_order()).when(return_lines(nothing));
        when.rejected(RejectionCode::InvalidQuantity);
    }
}

#[test]
fn a_return_puts_goods_on_hand_and_refunds_nothing() {
    let after = given(&shipped_order()).when(return_lines(&[line(1, 3)]));
    let after = after.then(&returned(&[line(1, 3)]));
    assert_eq!(after.level("apple"), (99, 0));
    assert_eq!(
        (after.order().status, after.order().refunds.len()),
        (Status::Shipped, 0)
    );
}

#[test]
fn when_everything_came_back_the_order_is_returned() {
    let mut delivered = shipped_order();
    delivered.push(Event::Delivered);
    for events in [shipped_order(), delivered] {
        let before = given(&events).order().status;
        let after = given(&events).when(return_lines(&[line(1, 1)])).applied().1;
        assert_eq!(
            after.order().status,
            before,
            "a part leaves the state as it is"
        );
        let after = after.when(return_lines(&[line(1, 3)])).applied().1;
        assert_eq!(
            (after.order().status, after.level("apple")),
            (Status::Returned, (100, 0))
        );
    }
}

#[test]
fn an_order_is_returned_when_each_line_is() {
    let mut events = two_lines();
    events.push(shipped(&[line(1, 4), line(2, 2)]));
    let after = given(&events).when(return_lines(&[line(1, 4)])).applied().1;
    assert_eq!(after.order().status, Status::Shipped);
    let after = after.when(return_lines(&[line(2, 2)])).applied().1;
    assert_eq!(after.order().status, Status::Returned);
}

#[test]
fn no_more_comes_back_than_left() {
    let mut events = shipped_order();
    events.push(returned(&[line(1, 3)]));
    let rejection = given(&events).when(return_lines(&[line(1, 2)]));
    let rejection = rejection.rejected(RejectionCode::InvalidQuantity);
    assert_eq!(
        rejection.detail,
        "Line 1 (apple) has 1 left to be returned, not 2."
    );
}

#[test]
fn a_return_that_stock_cannot_count_is_refused() {
    let full = given(&shipped_order()).stock("apple", MAX_AMOUNT_MINOR, 0);
    full.when(return_lines(&[line(1, 1)]))
        .rejected(RejectionCode::InvalidQuantity);
    let nearly = given(&shipped_order()).stock("apple", MAX_AMOUNT_MINOR - 1, 0);
    let after = nearly.when(return_lines(&[line(1, 1)])).applied().1;
    assert_eq!(after.level("apple"), (MAX_AMOUNT_MINOR, 0));
}

#[test]
fn a_shipment_that_stock_does_not_have_is_refused_rather_than_oversold() {
    // Only possible when somebody wrote to the stock table by hand.
    let damaged = given(&paid_order()).stock("apple", 4, 3);
    damaged
        .when(ship_all())
        .rejected(RejectionCode::InsufficientStock);
}
