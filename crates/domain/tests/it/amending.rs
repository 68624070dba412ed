//! Rule 4: new lines for a placed order, out of free stock and what the order has reserved itself.

use orderly_domain::{Event, RejectionCode};

use crate::scenario::{amend, declined, given, new_line, payment_requested, placed, places, sku};

#[test]
fn amend_replaces_all_lines_and_numbers_start_anew() {
    let lines = [new_line("pear", 3, 100), new_line("apple", 1, 50)];
    let after = given(&[placed(&[new_line("apple", 4, 250)])])
        .when(amend(&lines))
        .then(&Event::Amended {
            lines: lines.to_vec(),
        });
    assert_eq!(after.order().line(1).unwrap().sku, sku("pear"));
    assert_eq!(after.order().total_minor(), 350);
    assert_eq!(
        (after.level("apple"), after.level("pear")),
        ((100, 1), (100, 3))
    );
}

#[test]
fn the_orders_own_reservation_counts_as_available() {
    // 10 on hand, all reserved: 4 by this order, 6 by others.
    let world = || given(&[placed(&[new_line("apple", 4, 250)])]).stock("apple", 10, 10);
    let after = world()
        .when(amend(&[new_line("apple", 4, 200)]))
        .applied()
        .1;
    assert_eq!(after.level("apple"), (10, 10));
    let after = world()
        .when(amend(&[new_line("apple", 1, 250)]))
        .applied()
        .1;
    assert_eq!(after.level("apple"), (10, 7));

    let rejection = world().when(amend(&[new_line("apple", 5, 250)]));
    let rejection = rejection.rejected(RejectionCode::InsufficientStock);
    assert_eq!(
        rejection.detail,
        "1 more of SKU apple were asked for, 0 are available."
    );
}

#[test]
fn a_rejected_amendment_names_each_fault() {
    let world = given(&[placed(&[new_line("apple", 4, 250)])]);
    let rejection = world.when(amend(&[new_line("apple", 1, 1), new_line("unicorn", 1, 1)]));
    let rejection = rejection.rejected(RejectionCode::UnknownSku);
    assert_eq!(
        places(&rejection),
        [("/lines/1/sku", RejectionCode::UnknownSku)]
    );

    let world = given(&[placed(&[new_line("apple", 4, 250)])]);
    world
        .when(amend(&[]))
        .rejected(RejectionCode::InvalidQuantity);
}

#[test]
fn an_order_whose_payment_was_declined_can_be_amended_and_owes_the_new_total() {
    let events = [
        placed(&[new_line("apple", 4, 250)]),
        payment_requested(1, 1_000),
        declined(1),
    ];
    let after = given(&events)
        .when(amend(&[new_line("apple", 1, 250)]))
        .applied()
        .1;
    assert_eq!(after.order().total_minor(), 250);
}
