//! Rules 2 and 3: what can be placed, and that it reserves its stock or is rejected whole.

use orderly_domain::{MAX_AMOUNT_MINOR, RejectionCode, Status, Version};

use crate::scenario::{ORDER, cancelled, given, new_line, place, placed, places, sku};

#[test]
fn a_placed_order_has_numbered_lines_and_reserves_them() {
    let lines = [new_line("apple", 4, 250), new_line("pear", 2, 75)];
    let after = given(&[]).when(place(&lines)).then(&placed(&lines));

    let order = after.order();
    assert_eq!(
        (order.order_id, order.version, order.status),
        (ORDER, Version(1), Status::Placed)
    );
    assert_eq!(order.line(2).unwrap().sku, sku("pear"));
    assert_eq!((order.line(0), order.line(3)), (None, None));
    assert_eq!(order.total_minor(), 1_150);
    assert_eq!(
        (after.level("apple"), after.level("pear")),
        ((100, 4), (100, 2))
    );
}

#[test]
fn an_order_id_is_used_once_even_after_a_cancellation() {
    let lines = [new_line("apple", 4, 250)];
    given(&[placed(&lines), cancelled()])
        .when(place(&lines))
        .rejected(RejectionCode::OrderExists);
}

#[test]
fn one_sku_at_two_prices_is_two_lines_of_one_stock() {
    let lines = [new_line("apple", 60, 250), new_line("apple", 40, 0)];
    let after = given(&[]).when(place(&lines)).then(&placed(&lines));
    assert_eq!(after.level("apple"), (100, 100));

    let lines = [
        new_line("pear", 1, 1),
        new_line("apple", 60, 250),
        new_line("apple", 41, 0),
    ];
    let rejection = given(&[])
        .when(place(&lines))
        .rejected(RejectionCode::InsufficientStock);
    assert_eq!(
        places(&rejection),
        [("/lines/1/quantity", RejectionCode::InsufficientStock)]
    );
    assert_eq!(
        rejection.detail,
        "101 more of SKU apple were asked for, 100 are available."
    );
}

#[test]
fn the_same_sku_and_price_twice_is_refused() {
    let lines = [
        new_line("apple", 1, 250),
        new_line("pear", 1, 250),
        new_line("apple", 2, 250),
    ];
    let rejection = given(&[])
        .when(place(&lines))
        .rejected(RejectionCode::DuplicateLine);
    assert_eq!(
        places(&rejection),
        [("/lines/2", RejectionCode::DuplicateLine)]
    );
}

#[test]
fn only_what_others_have_not_reserved_is_available() {
    let world = || given(&[]).stock("apple", 10, 7);
    world().when(place(&[new_line("apple", 3, 1)])).applied();
    world()
        .when(place(&[new_line("apple", 4, 1)]))
        .rejected(RejectionCode::InsufficientStock);
}

#[test]
fn every_missing_sku_is_named_once_in_line_order() {
    let world = given(&[]).stock("apple", 1, 0).stock("pear", 1, 0);
    let lines = [
        new_line("pear", 5, 1),
        new_line("apple", 5, 1),
        new_line("pear", 5, 2),
    ];
    let rejection = world
        .when(place(&lines))
        .rejected(RejectionCode::InsufficientStock);
    let short = RejectionCode::InsufficientStock;
    assert_eq!(
        places(&rejection),
        [("/lines/0/quantity", short), ("/lines/1/quantity", short)]
    );

    let lines = [new_line("apple", 1, 1), new_line("unicorn", 5, 1)];
    let rejection = given(&[])
        .when(place(&lines))
        .rejected(RejectionCode::UnknownSku);
    assert_eq!(
        places(&rejection),
        [("/lines/1/sku", RejectionCode::UnknownSku)]
    );
}

#[test]
fn one_to_a_thousand_lines_fit() {
    let lines = |count: i64| {
        (0..count)
            .map(|price| new_line("apple", 1, price))
            .collect::<Vec<_>>()
    };
    let world = || given(&[]).stock("apple", 10_000, 0);
    world()
        .when(place(&lines(1_000)))
        .then(&placed(&lines(1_000)));
    world()
        .when(place(&lines(1_001)))
        .rejected(RejectionCode::LimitExceeded);
    world()
        .when(place(&[]))
        .rejected(RejectionCode::InvalidQuantity);
}

#[test]
fn quantities_are_one_to_a_million() {
    let world = || given(&[]).stock("apple", MAX_AMOUNT_MINOR, 0);
    for quantity in [1, 1_000_000] {
        world()
            .when(place(&[new_line("apple", quantity, 0)]))
            .applied();
    }
    for quantity in [i64::MIN, -1, 0, 1_000_001, i64::MAX] {
        let rejection = world().when(place(&[new_line("apple", quantity, 1)]));
        let rejection = rejection.rejected(RejectionCode::InvalidQuantity);
        assert_eq!(rejection.faults.len(), 1, "{rejection:?}");
    }
}

#[test]
fn prices_line_prices_and_totals_stay_exact_in_json() {
    let reject = |lines: &[_], pointer| {
        let rejection = given(&[])
            .when(place(lines))
            .rejected(RejectionCode::InvalidAmount);
        assert_eq!(
            places(&rejection),
            [(pointer, RejectionCode::InvalidAmount)]
        );
    };
    let max = MAX_AMOUNT_MINOR;
    let world = given(&[])
        .when(place(&[new_line("apple", 1, max)]))
        .applied()
        .1;
    assert_eq!(world.order().total_minor(), max);

    for price in [i64::MIN, -1, max + 1, i64::MAX] {
        reject(&[new_line("apple", 1, price)], "/lines/0/unit_price_minor");
    }
    reject(&[new_line("apple", 2, max)], "/lines/0");
    reject(
        &[new_line("apple", 1, max), new_line("pear", 1, 1)],
        "/lines",
    );
}
