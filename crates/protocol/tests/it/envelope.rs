//! Envelopes that are not quite right: what can still be told of them decides where they go.

use orderly_protocol::{Envelope, EnvelopeError};
use serde_json::{Value, json};

use crate::sample;

/// The envelope of `hold` as JSON, to be broken.
fn sound() -> Value {
    let (_, action) = sample::actions()
        .into_iter()
        .find(|(name, _)| *name == "hold")
        .unwrap();
    serde_json::from_slice(&sample::envelope(&action, false).encode()).unwrap()
}

fn broken(change: impl FnOnce(&mut Value)) -> EnvelopeError {
    let mut envelope = sound();
    change(&mut envelope);
    Envelope::decode(envelope.to_string().as_bytes()).unwrap_err()
}

#[test]
fn a_broken_field_leaves_order_and_command_known() {
    let changes: [fn(&mut Value); 11] = [
        |envelope| envelope["surprise"] = json!(1),
        |envelope| envelope["producer"] = json!("nobody"),
        |envelope| envelope["fingerprint"] = json!("00"),
        |envelope| envelope["accepted_at"] = json!(0),
        |envelope| envelope["expected_version"] = json!(-1),
        |envelope| envelope["type"] = json!("a\u{0}b"),
        |envelope| envelope["type"] = json!(""),
        |envelope| envelope["reply_to"] = json!("x".repeat(256)),
        |envelope| envelope["traceparent"] = json!("\n"),
        |envelope| envelope["idempotency_key"] = json!("é"),
        |envelope| drop(envelope.as_object_mut().unwrap().remove("data")),
    ];
    for change in changes {
        let EnvelopeError::Unreadable {
            order_id,
            command_id,
            detail,
        } = broken(change)
        else {
            panic!("the order was readable");
        };
        assert_eq!(
            (order_id, command_id),
            (sample::ORDER, Some(sample::COMMAND)),
            "{detail}"
        );
    }
}

#[test]
fn without_an_order_it_is_a_dead_letter() {
    let no_order = |error| matches!(error, EnvelopeError::NoOrder { .. });
    assert!(no_order(broken(
        |envelope| envelope["order_id"] = json!("nobody")
    )));
    assert!(no_order(broken(
        |envelope| envelope["order_id"] = json!(null)
    )));
    assert!(no_order(broken(|envelope| *envelope = json!([1]))));
    assert!(no_order(Envelope::decode(b"{").unwrap_err()));
    assert!(no_order(Envelope::decode(b"").unwrap_err()));
    // Two orders are none.
    let twice = format!(r#"{{"order_id":"{0}","order_id":"{0}"}}"#, sample::ORDER);
    assert!(no_order(Envelope::decode(twice.as_bytes()).unwrap_err()));
}

#[test]
fn without_a_command_id_the_order_is_still_known() {
    let error = broken(|envelope| envelope["command_id"] = json!(7));
    assert!(
        matches!(error, EnvelopeError::Unreadable { order_id, command_id: None, .. } if order_id == sample::ORDER)
    );
}

#[test]
fn details_hold_no_control_characters() {
    let error = broken(|envelope| envelope["a\u{0}\n"] = json!(1));
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
}

#[test]
fn an_unknown_command_is_told_when_it_is_opened() {
    let mut envelope = sound();
    envelope["type"] = json!("teleport");
    let envelope = Envelope::decode(envelope.to_string().as_bytes()).unwrap();
    let faults = envelope.command().unwrap_err();
    assert_eq!(faults[0].code, "unknown_type");

    let mut envelope = sound();
    envelope["data"] = json!({"reason": 1, "x": 2});
    let envelope = Envelope::decode(envelope.to_string().as_bytes()).unwrap();
    let pointers: Vec<String> = envelope
        .command()
        .unwrap_err()
        .into_iter()
        .map(|f| f.pointer)
        .collect();
    assert_eq!(pointers, ["/reason", "/x"]);
}

#[test]
fn a_key_twice_in_the_data_is_refused() {
    let text = sound()
        .to_string()
        .replace(r#"{"reason":"#, r#"{"reason":"a","reason":"#);
    let faults = Envelope::decode(text.as_bytes())
        .unwrap()
        .command()
        .unwrap_err();
    assert_eq!(
        (faults[0].pointer.as_str(), faults[0].code.as_str()),
        ("/reason", "invalid_value")
    );
}

#[test]
fn a_bare_envelope_holds_no_nulls() {
    let (_, action) = sample::actions().remove(0);
    let bytes = sample::envelope(&action, true).encode();
    assert!(!String::from_utf8(bytes.clone()).unwrap().contains("null"));
    let envelope = Envelope::decode(&bytes).unwrap();
    assert_eq!(
        (envelope.expected_version, envelope.idempotency_key),
        (None, None)
    );
    assert_eq!(envelope.accepted_at, sample::ACCEPTED);
}
