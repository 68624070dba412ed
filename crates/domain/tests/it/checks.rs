//! Rule 1: the order of checks. The first class that fails wins and lists all its faults.

use orderly_domain::{
    Action, Command, CommandId, Decision, Place, RejectionCode, SkuNotLoaded, StockLevels, Version,
    decide,
};

use crate::scenario::{
    COMMAND, ORDER, amend, annotate, given, held, hold, line, new_line, paid_order, place, placed,
    places, ship, sku,
};

#[test]
fn existence_is_checked_before_the_version() {
    let when = given(&[]).expecting_version(3).when(hold());
    assert_eq!(
        when.rejected(RejectionCode::OrderNotFound).version,
        Version::NONE
    );
    let when = given(&paid_order()).expecting_version(9).when(place(&[]));
    assert_eq!(
        when.rejected(RejectionCode::OrderExists).version,
        Version(3)
    );
}

#[test]
fn version_is_checked_before_the_hold() {
    let events = [placed(&[new_line("apple", 1, 1)]), held()];
    let rejection = given(&events).expecting_version(1).when(amend(&[]));
    let rejection = rejection.rejected(RejectionCode::VersionConflict);
    assert_eq!(rejection.version, Version(2));
    assert_eq!(rejection.detail, "The order is at version 2, not 1.");
}

#[test]
fn an_expected_version_that_holds_changes_nothing() {
    given(&paid_order())
        .expecting_version(3)
        .when(hold())
        .then(&held());
}

#[test]
fn place_without_an_order_ignores_the_expected_version() {
    let lines = [new_line("apple", 1, 1)];
    given(&[])
        .expecting_version(7)
        .when(place(&lines))
        .then(&placed(&lines));
}

#[test]
fn hold_is_checked_before_the_state() {
    let mut events = paid_order();
    events.push(held());
    given(&events)
        .when(amend(&[]))
        .rejected(RejectionCode::OrderHeld);
}

#[test]
fn state_is_checked_before_quantities() {
    given(&paid_order())
        .when(amend(&[]))
        .rejected(RejectionCode::IllegalTransition);
    given(&[placed(&[new_line("apple", 1, 1)])])
        .when(ship(&[line(9, -1)]))
        .rejected(RejectionCode::IllegalTransition);
}

#[test]
fn quantities_are_checked_before_skus_and_skus_before_stock() {
    let (bad, unknown, short) = (
        new_line("pear", 0, 1),
        new_line("unicorn", 1, 1),
        new_line("apple", 101, 1),
    );
    let all = [short.clone(), unknown.clone(), bad];
    given(&[])
        .when(place(&all))
        .rejected(RejectionCode::InvalidQuantity);
    given(&[])
        .when(place(&[short.clone(), unknown]))
        .rejected(RejectionCode::UnknownSku);
    given(&[])
        .when(place(&[short]))
        .rejected(RejectionCode::InsufficientStock);
}

#[test]
fn a_class_lists_all_its_faults_and_the_first_names_the_rejection() {
    let action = Action::Place(Place {
        customer_id: String::new(),
        currency: orderly_domain::Currency::new("EUR").unwrap(),
        lines: vec![
            new_line("apple", 0, -1),
            new_line("pear", 1, 1),
            new_line("pear", 2, 1),
        ],
        note: Some("\0".to_owned()),
    });
    let rejection = given(&[])
        .when(action.clone())
        .rejected(RejectionCode::InvalidText);
    assert_eq!(
        places(&rejection),
        [
            ("/customer_id", RejectionCode::InvalidText),
            ("/lines/0/quantity", RejectionCode::InvalidQuantity),
            ("/lines/0/unit_price_minor", RejectionCode::InvalidAmount),
            ("/lines/2", RejectionCode::DuplicateLine),
            ("/note", RejectionCode::InvalidText),
        ]
    );
    assert_eq!(
        rejection.faults,
        action.faults(),
        "decide says what the ingress says"
    );
    assert_eq!(
        rejection.detail,
        "The text has 0 characters; allowed is 1 to 128. Further faults: 4."
    );
}

#[test]
fn faults_seen_with_and_without_the_order_are_one_class() {
    let rejection = given(&paid_order()).when(ship(&[line(1, 5), line(1, 0), line(2, 1)]));
    assert_eq!(
        places(&rejection.rejected(RejectionCode::InvalidQuantity)),
        [
            ("/lines/1/quantity", RejectionCode::InvalidQuantity),
            ("/lines/1/line", RejectionCode::InvalidQuantity),
            ("/lines/0/quantity", RejectionCode::InvalidQuantity),
            ("/lines/2/line", RejectionCode::InvalidQuantity),
        ]
    );
}

#[test]
fn a_decision_without_the_stock_it_needs_is_the_callers_error() {
    let command = |action| Command {
        command_id: CommandId(COMMAND.0),
        order_id: ORDER,
        expected_version: None,
        action,
    };
    let nothing = StockLevels::default();
    let place = command(place(&[new_line("apple", 1, 1)]));
    assert_eq!(
        decide(None, &nothing, &place),
        Err(SkuNotLoaded(sku("apple")))
    );

    let order = given(&paid_order()).order;
    let ship = command(ship(&[line(1, 1)]));
    assert_eq!(
        decide(order.as_ref(), &nothing, &ship),
        Err(SkuNotLoaded(sku("apple")))
    );
    let annotate = command(annotate("colour", "blue"));
    assert!(matches!(
        decide(order.as_ref(), &nothing, &annotate),
        Ok(Decision::Applied(_))
    ));
}
