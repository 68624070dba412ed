//! Rule 4: address and annotations.

use orderly_domain::limits::ANNOTATIONS;
use orderly_domain::{Action, Address, Event, Fault, RejectionCode, SetAddress, Version};

use crate::scenario::{address, annotate, given, new_line, placed, places, set_address};

#[test]
fn the_last_address_counts() {
    let events = [placed(&[new_line("apple", 1, 1)])];
    let after = given(&events)
        .when(set_address())
        .then(&Event::AddressSet { address: address() });
    assert_eq!(after.order().address, Some(address()));

    let moved = Address {
        city: "Ockham".to_owned(),
        ..address()
    };
    let set = Action::SetAddress(SetAddress {
        address: moved.clone(),
    });
    assert_eq!(after.when(set).applied().1.order().address, Some(moved));
}

#[test]
fn the_same_annotation_again_is_another_event() {
    let noted = Event::Annotated {
        key: "colour".to_owned(),
        value: "blue".to_owned(),
    };
    let events = [placed(&[new_line("apple", 1, 1)]), noted.clone()];
    let after = given(&events).when(annotate("colour", "blue")).then(&noted);
    assert_eq!(
        (after.order().version, after.order().annotations.len()),
        (Version(3), 1)
    );
}

#[test]
fn a_full_order_takes_no_new_key_but_new_values() {
    let noted = |n: usize| Event::Annotated {
        key: format!("key {n}"),
        value: String::new(),
    };
    let mut events = vec![placed(&[new_line("apple", 1, 1)])];
    events.extend((1..ANNOTATIONS).map(noted));
    let world = given(&events).when(annotate("last", "")).applied().1;

    let world = world.when(annotate("last", "new value")).applied().1;
    assert_eq!(world.order().annotations["last"], "new value");
    let rejection = world
        .when(annotate("one more", ""))
        .rejected(RejectionCode::LimitExceeded);
    assert_eq!(places(&rejection), [("/key", RejectionCode::LimitExceeded)]);
}

fn faults_of(address: Address) -> Vec<(String, RejectionCode)> {
    let faults = Action::SetAddress(SetAddress { address }).faults();
    faults
        .into_iter()
        .map(|Fault { pointer, code, .. }| (pointer, code))
        .collect()
}

#[test]
fn every_part_of_an_address_has_bounds() {
    assert_eq!(faults_of(address()), []);
    let long = "x".repeat(201);
    let all_wrong = Address {
        name: String::new(),
        street: vec![
            String::new(),
            "a\u{7}".to_owned(),
            "ok".to_owned(),
            long.clone(),
            "5".to_owned(),
        ],
        city: long.clone(),
        region: Some(String::new()),
        postal_code: Some(long),
        country: "gb".to_owned(),
    };
    let pointers: Vec<_> = faults_of(all_wrong)
        .into_iter()
        .map(|(pointer, _)| pointer)
        .collect();
    assert_eq!(
        pointers,
        [
            "/name",
            "/street",
            "/street/0",
            "/street/1",
            "/street/3",
            "/city",
            "/region",
            "/postal_code",
            "/country"
        ]
    );
    for street in [vec![], vec!["x".to_owned(); 5]] {
        let found = faults_of(Address {
            street,
            ..address()
        });
        assert_eq!(found, [("/street".to_owned(), RejectionCode::InvalidText)]);
    }
    for country in ["", "G", "GBR", "g1", "ÄÖ", "É"] {
        assert_eq!(
            faults_of(Address {
                country: country.to_owned(),
                ..address()
            })
            .len(),
            1
        );
    }
}
