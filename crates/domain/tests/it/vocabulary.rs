//! Names, codes and texts: each has one spelling, and bounds.

use std::collections::BTreeSet;

use orderly_domain::{
    Action, ActionKind, Currency, PaymentStatus, RefundStatus, RejectionCode, Sku, Status,
};

use crate::scenario::{
    annotate, cancel, hold, line, new_line, pay, place, record_payment, refund, return_lines, ship,
    ship_all,
};

#[test]
fn every_name_parses_back_and_is_unique() {
    macro_rules! check {
        ($all:expr, $parse:path) => {{
            let names: BTreeSet<_> = $all.iter().map(|value| value.as_str()).collect();
            assert_eq!(names.len(), $all.len());
            for value in $all {
                assert_eq!($parse(value.as_str()), Some(value));
            }
            assert_eq!($parse("nonsense"), None);
        }};
    }
    check!(ActionKind::ALL, ActionKind::parse);
    check!(Status::ALL, Status::parse);
    check!(RejectionCode::ALL, RejectionCode::parse);
    check!(PaymentStatus::ALL, PaymentStatus::parse);
    check!(RefundStatus::ALL, RefundStatus::parse);
}

#[test]
fn a_currency_is_one_that_people_pay_in() {
    for code in ["AED", "EUR", "GBP", "JPY", "USD", "XAF", "XCG", "ZWG"] {
        assert_eq!(Currency::new(code).map(Currency::as_str), Some(code));
    }
    for code in [
        "", "EU", "eur", "EURO", "DEM", "HRK", "XXX", "XTS", "XAU", "BOV", "AAA", "€",
    ] {
        assert_eq!(Currency::new(code), None, "{code}");
    }
    let letters = || b'A'..=b'Z';
    let codes =
        letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    let active = codes.filter(|code| Currency::new(str::from_utf8(code).unwrap()).is_some());
    assert_eq!(
        active.count(),
        155,
        "the table is sorted: every code in it is found"
    );
}

#[test]
fn a_sku_is_one_word_of_64_characters() {
    for text in ["a", "85123A", &"ü".repeat(64)] {
        assert_eq!(Sku::new(text).unwrap().as_str(), text);
    }
    for text in ["", " ", "a b", "a\n", "\0", &"x".repeat(65)] {
        assert!(Sku::new(text).is_none(), "{text:?}");
    }
}

fn faulty(action: &Action, pointer: &str) -> bool {
    action.faults().iter().any(|fault| {
        assert_eq!(fault.code, RejectionCode::InvalidText);
        fault.pointer == pointer
    })
}

#[test]
fn every_text_has_a_length_and_no_control_characters() {
    type WithText = fn(String) -> Action;
    let texts: [(&str, usize, usize, WithText); 12] = [
        ("/customer_id", 1, 128, |text| with_customer(text, None)),
        ("/note", 0, 2_000, |text| {
            with_customer("customer".to_owned(), Some(text))
        }),
        ("/key", 1, 64, |text| annotate(&text, "")),
        ("/value", 0, 1_000, |text| annotate("key", &text)),
        ("/reason", 1, 500, |text| with_text(hold(), text)),
        ("/reason", 1, 500, |text| with_text(cancel(), text)),
        ("/reason", 1, 500, |text| with_text(refund(1), text)),
        ("/method", 1, 64, |text| with_text(pay(), text)),
        ("/reference", 1, 255, |text| with_text(captured(), text)),
        ("/carrier", 1, 255, |text| {
            with_carrier(text, "T1".to_owned())
        }),
        ("/tracking", 1, 255, |text| {
            with_carrier("post".to_owned(), text)
        }),
        ("/key", 1, 64, |text| annotate(&text, &"x".repeat(1_000))),
    ];
    for (pointer, min, max, with) in texts {
        for (length, fits) in [(0, min == 0), (1, true), (max, true), (max + 1, false)] {
            let action = with("ü".repeat(length));
            assert_eq!(
                faulty(&action, pointer),
                !fits,
                "{pointer}: {length} characters"
            );
        }
        for control in ["a\0", "a\r\n", "\u{1b}[0m", "a\u{7f}", "a\u{85}"] {
            assert!(
                faulty(&with(control.to_owned()), pointer),
                "{pointer}: {control:?}"
            );
        }
        assert_eq!(with("a\n\tü 😀".to_owned()).faults(), [], "{pointer}");
    }
}

fn with_customer(customer_id: String, note: Option<String>) -> Action {
    let Action::Place(mut data) = place(&[new_line("apple", 1, 1)]) else {
        unreachable!()
    };
    (data.customer_id, data.note) = (customer_id, note);
    Action::Place(data)
}

fn with_carrier(carrier: String, tracking: String) -> Action {
    let Action::Ship(mut data) = ship_all() else {
        unreachable!()
    };
    (data.carrier, data.tracking) = (carrier, tracking);
    Action::Ship(data)
}

fn captured() -> Action {
    record_payment(1, orderly_domain::PaymentResult::Captured, 1)
}

fn with_text(mut action: Action, text: String) -> Action {
    match &mut action {
        Action::Hold(data) => data.reason = text,
        Action::Cancel(data) => data.reason = text,
        Action::Refund(data) => data.reason = text,
        Action::Pay(data) => data.method = text,
        Action::RecordPayment(data) => data.reference = text,
        _ => unreachable!(),
    }
    action
}

#[test]
fn commands_name_the_skus_they_bring_and_whether_they_move_stock() {
    let place = place(&[
        new_line("apple", 1, 1),
        new_line("pear", 1, 1),
        new_line("apple", 1, 2),
    ]);
    let named: Vec<_> = place.skus().map(Sku::as_str).collect();
    assert_eq!(named, ["apple", "pear", "apple"]);
    assert_eq!(ship(&[line(1, 1)]).skus().count(), 0);

    assert!(place.touches_stock() && ship_all().touches_stock() && cancel().touches_stock());
    assert!(return_lines(&[]).touches_stock());
    for action in [
        hold(),
        pay(),
        refund(1),
        Action::Release,
        Action::Deliver,
        captured(),
    ] {
        assert!(!action.touches_stock(), "{}", action.name());
    }
}
