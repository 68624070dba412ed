//! Events and states: read back as they were written, and never half understood.

use orderly_protocol::{
    EventUnreadable, StateUnreadable, event_data, order_state, parse_event, parse_event_data,
    parse_order_state,
};
use serde_json::{Value, json};

use crate::sample;

#[test]
fn every_event_is_read_as_it_was_written() {
    for (name, event) in sample::events() {
        for order in [sample::order(), sample::bare_order()] {
            let data = event_data(&order, &event);
            let (header, read) = parse_event_data(event.name(), data.get()).unwrap();
            assert_eq!(read, event, "{name}");
            assert_eq!(
                (header.order_id, header.version),
                (order.order_id, order.version)
            );
            assert_eq!((header.status, header.held), (order.status, order.held()));
            assert_eq!(
                (header.customer_id, header.currency),
                (order.customer_id, order.currency)
            );
        }
    }
}

#[test]
fn an_unknown_field_makes_an_event_unreadable() {
    for (name, event) in sample::events() {
        let mut data: Value =
            serde_json::from_str(event_data(&sample::order(), &event).get()).unwrap();
        data["surprise"] = json!(1);
        let read = parse_event(event.name(), &data.to_string());
        assert!(
            matches!(read, Err(EventUnreadable::Form(faults)) if faults[0].pointer == "/surprise"),
            "{name}"
        );
    }
}

#[test]
fn a_missing_field_makes_an_event_unreadable() {
    for (name, event) in sample::events() {
        let data: Value = serde_json::from_str(event_data(&sample::order(), &event).get()).unwrap();
        for field in data.as_object().unwrap().keys() {
            let mut less = data.clone();
            less.as_object_mut().unwrap().remove(field);
            let read = parse_event(event.name(), &less.to_string());
            let needed = !["note", "effect", "total_minor"].contains(&field.as_str());
            assert_eq!(read.is_err(), needed, "{name} without {field}");
        }
    }
}

#[test]
fn an_unknown_event_is_named() {
    let data = event_data(&sample::order(), &sample::events()[0].1);
    assert!(
        matches!(parse_event("teleported", data.get()), Err(EventUnreadable::UnknownType(name)) if name == "teleported")
    );
    assert!(matches!(
        parse_event("placed", "{"),
        Err(EventUnreadable::Json(_))
    ));
    assert!(matches!(
        parse_event("placed", "[]"),
        Err(EventUnreadable::Form(_))
    ));
}

#[test]
fn every_state_is_read_as_it_was_written() {
    for order in [sample::order(), sample::bare_order()] {
        assert_eq!(parse_order_state(&order_state(&order)).unwrap(), order);
    }
    for status in orderly_domain::Status::ALL {
        let order = orderly_domain::Order {
            status,
            ..sample::order()
        };
        assert_eq!(parse_order_state(&order_state(&order)).unwrap(), order);
    }
}

#[test]
fn a_state_of_another_form_is_unreadable() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 8] = [
        ("/schema", |state| *state = json!({"schema": 2, "id": 7})),
        ("/schema", |state| state["schema"] = json!(2)),
        ("/schema", |state| {
            drop(state.as_object_mut().unwrap().remove("schema"));
        }),
        ("/surprise", |state| state["surprise"] = json!(1)),
        ("/lines/0/gift", |state| {
            state["lines"][0]["gift"] = json!(true);
        }),
        ("/payments/1/status", |state| {
            state["payments"][1]["status"] = json!("stolen");
        }),
        ("/version", |state| state["version"] = json!(-1)),
        ("/annotations/x", |state| {
            state["annotations"]["x"] = json!(1);
        }),
    ];
    for (pointer, change) in changes {
        let mut state: Value = serde_json::from_str(&order_state(&sample::order())).unwrap();
        change(&mut state);
        let Err(StateUnreadable::Form(faults)) = parse_order_state(&state.to_string()) else {
            panic!("{pointer} was read");
        };
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].pointer, pointer);
    }
    assert!(matches!(
        parse_order_state("{"),
        Err(StateUnreadable::Json(_))
    ));
}
