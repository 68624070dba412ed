//! What is refused in a command, and how precisely it is told.

use orderly_domain::Action;
use orderly_protocol::{
    FieldFault, action_data, parse_action, parse_command_request, parse_json, parse_place_request,
};
use serde_json::{Value, json};

use crate::sample;

fn told(faults: &[FieldFault]) -> Vec<(&str, &str)> {
    faults
        .iter()
        .map(|fault| (fault.pointer.as_str(), fault.code.as_str()))
        .collect()
}

#[test]
fn every_command_is_read_as_it_was_written() {
    for (name, action) in sample::actions() {
        let data = action_data(&action);
        assert_eq!(
            parse_action(action.name(), &data).unwrap(),
            action,
            "{name}"
        );
        let text = data.to_string();
        assert_eq!(parse_json(text.as_bytes()).unwrap(), data);
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let data = json!({
        "currency": "euro",
        "lines": [
            {"sku": "A", "quantity": 1, "unit_price_minor": 1},
            {"sku": "", "quantity": "2", "unit_price_minor": 1.5, "colour": "red"},
            17,
            {"sku": "B C", "unit_price_minor": 9_007_199_254_740_992_i64, "quantity": u64::MAX},
        ],
        "note": 5,
        "a/b~c": null,
    });
    let faults = parse_action("place", &data).unwrap_err();
    assert_eq!(
        told(&faults),
        [
            ("/customer_id", "missing_field"),
            ("/currency", "invalid_value"),
            ("/lines/1/sku", "invalid_value"),
            ("/lines/1/quantity", "wrong_type"),
            ("/lines/1/unit_price_minor", "wrong_type"),
            ("/lines/1/colour", "unknown_field"),
            ("/lines/2", "wrong_type"),
            ("/lines/3/sku", "invalid_value"),
            ("/lines/3/quantity", "invalid_value"),
            ("/lines/3/unit_price_minor", "invalid_value"),
            ("/note", "wrong_type"),
            ("/a~1b~0c", "unknown_field"),
        ]
    );
}

#[test]
fn integers_are_exact_or_refused() {
    let amount = |number: &str| {
        let data =
            parse_json(format!(r#"{{"reason":"x","amount_minor":{number}}}"#).as_bytes()).unwrap();
        parse_action("refund", &data).map_err(|faults| faults[0].code.clone())
    };
    for number in ["9007199254740991", "-9007199254740991", "0", "-0"] {
        let read = amount(number);
        // serde_json reads "-0" as a float: it is not an integer of ours either.
        assert!(read.is_ok() || number == "-0", "{number}");
    }
    for number in [
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551615",
    ] {
        assert_eq!(amount(number).unwrap_err(), "invalid_value", "{number}");
    }
    for number in [
        "1.0",
        "1e2",
        "99999999999999999999",
        "\"1\"",
        "null",
        "true",
    ] {
        assert_eq!(amount(number).unwrap_err(), "wrong_type", "{number}");
    }
}

#[test]
fn data_of_another_type_is_one_fault() {
    for data in [json!(null), json!([]), json!("x"), json!(1)] {
        for (_, action) in sample::actions() {
            let faults = parse_action(action.name(), &data).unwrap_err();
            assert_eq!(told(&faults), [("", "wrong_type")], "{}", action.name());
        }
    }
}

#[test]
fn commands_without_data_take_no_fields() {
    assert_eq!(
        parse_action("release", &json!({})).unwrap(),
        Action::Release
    );
    let faults = parse_action("deliver", &json!({"at": "noon"})).unwrap_err();
    assert_eq!(told(&faults), [("/at", "unknown_field")]);
}

#[test]
fn optional_fields_may_be_null_and_required_ones_may_not() {
    let ship = json!({"lines": null, "carrier": "a", "tracking": "b"});
    assert!(
        matches!(parse_action("ship", &ship).unwrap(), Action::Ship(ship) if ship.lines.is_none())
    );
    let faults = parse_action("hold", &json!({"reason": null})).unwrap_err();
    assert_eq!(told(&faults), [("/reason", "wrong_type")]);
}

#[test]
fn line_numbers_begin_at_one() {
    for line in [json!(0), json!(-1), json!(4_294_967_296_i64)] {
        let faults =
            parse_action("return", &json!({"lines": [{"line": line, "quantity": 1}]})).unwrap_err();
        assert_eq!(told(&faults), [("/lines/0/line", "invalid_value")]);
    }
}

#[test]
fn faults_are_bounded_however_many_there_are() {
    let lines: Vec<Value> = (0..10_000).map(Value::from).collect();
    let faults = parse_action("amend", &json!({ "lines": lines })).unwrap_err();
    assert_eq!(faults.len(), orderly_protocol::limits::FAULTS);
}

#[test]
fn unknown_types_are_named() {
    let faults = parse_action(&"x".repeat(1_000), &json!({})).unwrap_err();
    assert_eq!(told(&faults), [("", "unknown_type")]);
    assert!(faults[0].detail.len() < 300 && faults[0].detail.contains("set_address"));
}

fn place_body() -> Value {
    json!({"customer_id": "17850", "currency": "GBP", "lines": []})
}

#[test]
fn a_post_may_name_its_order_and_a_put_does_so_in_its_path() {
    let request = parse_place_request(place_body(), false).unwrap();
    assert_eq!((request.order_id, &request.data), (None, &place_body()));

    let mut body = place_body();
    body["order_id"] = json!(sample::ORDER.to_string());
    let request = parse_place_request(body.clone(), false).unwrap();
    assert_eq!(request.order_id, Some(sample::ORDER));
    assert_eq!(
        request.data,
        place_body(),
        "the order's id is not data of the command"
    );

    let faults = parse_place_request(body.clone(), true).unwrap_err();
    assert_eq!(told(&faults), [("/order_id", "unknown_field")]);
    body["order_id"] = json!("17");
    body["colour"] = json!("red");
    let faults = parse_place_request(body, false).unwrap_err();
    assert_eq!(
        told(&faults),
        [("/order_id", "invalid_value"), ("/colour", "unknown_field")]
    );
}

#[test]
fn a_command_body_points_into_its_data() {
    let body = json!({"type": "hold", "data": {"reason": 1}, "when": "now"});
    let faults = parse_command_request(body).unwrap_err();
    assert_eq!(
        told(&faults),
        [("/when", "unknown_field"), ("/data/reason", "wrong_type")]
    );
    let faults = parse_command_request(json!({"type": "teleport", "data": 1})).unwrap_err();
    assert_eq!(told(&faults), [("/type", "unknown_type")]);
    let faults = parse_command_request(json!({"data": {}})).unwrap_err();
    assert_eq!(told(&faults), [("/type", "missing_field")]);
    let faults = parse_command_request(json!({"type": "hold"})).unwrap_err();
    assert_eq!(told(&faults), [("/data/reason", "missing_field")]);
    let faults = parse_command_request(json!([])).unwrap_err();
    assert_eq!(told(&faults), [("", "wrong_type")]);
}

#[test]
fn data_may_be_left_out_where_it_is_empty() {
    for body in [
        json!({"type": "release"}),
        json!({"type": "release", "data": {}}),
        json!({"type": "release", "data": null}),
    ] {
        let request = parse_command_request(body).unwrap();
        assert_eq!((request.action, request.data), (Action::Release, json!({})));
    }
}
