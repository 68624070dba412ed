//! The bytes of every document. A file in `golden/` is never edited: what was once written must stay readable. With
//! `ORDERLY_GOLDEN=write` a file that does not exist yet is written; one that does is never touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use orderly_domain::ActionKind;
use orderly_protocol::receipt::Receipt;
use orderly_protocol::{
    CloudEvent, CommandResource, Envelope, OrderResource, Outcome, Problem, ProblemCode, Reply,
    decode_commands, decode_events, encode_commands, encode_events, order_state, parse_event,
    parse_order_state,
};

use crate::sample;

/// The bytes of a golden file, after a comparison with what is written today.
pub(crate) fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden/v1")
        .join(format!("{name}.json"));
    if std::env::var_os("ORDERLY_GOLDEN").is_some_and(|mode| mode == "write") && !path.exists() {
        fs::write(&path, [written, b"\n"].concat()).unwrap();
    }
    let mut golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(golden.pop(), Some(b'\n'), "{name} ends with a line feed");
    assert_eq!(
        String::from_utf8_lossy(written),
        String::from_utf8_lossy(&golden),
        "{name}"
    );
    golden
}

#[test]
fn envelopes_are_as_they_were() {
    let mut kinds = BTreeSet::new();
    for (name, action) in sample::actions() {
        let bytes = golden(
            &format!("envelope-{name}"),
            &sample::envelope(&action, false).encode(),
        );
        let command = Envelope::decode(&bytes).unwrap().command().unwrap();
        assert_eq!(command.action, action, "{name}");
        kinds.insert(action.kind());
    }
    assert_eq!(kinds, BTreeSet::from(ActionKind::ALL));
}

#[test]
fn a_command_message_is_as_it_was() {
    let envelopes: Vec<Vec<u8>> = sample::actions()
        .iter()
        .map(|(_, action)| sample::envelope(action, true).encode())
        .take(2)
        .collect();
    let written = encode_commands(envelopes.iter().map(Vec::as_slice));
    let bytes = golden("commands", &written);
    let raw = decode_commands(&bytes).unwrap();
    let raw: Vec<&[u8]> = raw.iter().map(|raw| raw.get().as_bytes()).collect();
    assert_eq!(raw, envelopes.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn events_are_as_they_were() {
    let mut names = BTreeSet::new();
    for (name, event) in sample::events() {
        let written = CloudEvent::from(&sample::recorded(&event)).encode();
        let bytes = golden(&format!("event-{name}"), &written);
        let read = CloudEvent::decode(&bytes).unwrap();
        let event_name = read.event_name().unwrap();
        assert_eq!(
            parse_event(event_name, read.data.get()).unwrap(),
            event,
            "{name}"
        );
        names.insert(event.name());
    }
    assert_eq!(
        names,
        BTreeSet::from(orderly_domain::Event::NAMES),
        "every event is here, and no other"
    );
}

#[test]
fn an_event_message_is_as_it_was() {
    let events: Vec<_> = sample::events()
        .iter()
        .map(|(_, event)| sample::recorded(event))
        .take(2)
        .collect();
    let written = encode_events(&events);
    let bytes = golden("events", &written[0]);
    assert_eq!(decode_events(&bytes).unwrap().len(), 2);
}

#[test]
fn order_states_are_as_they_were() {
    for (name, order) in [
        ("order-state", sample::order()),
        ("order-state-bare", sample::bare_order()),
    ] {
        let bytes = golden(name, order_state(&order).as_bytes());
        assert_eq!(
            parse_order_state(std::str::from_utf8(&bytes).unwrap()).unwrap(),
            order
        );
    }
}

#[test]
fn an_order_resource_is_as_it_was() {
    let written = OrderResource::new(&sample::order(), sample::ACCEPTED, sample::DECIDED, None);
    let bytes = golden("order", &serde_json::to_vec(&written).unwrap());
    assert_eq!(
        serde_json::from_slice::<OrderResource>(&bytes).unwrap(),
        written
    );
    assert_eq!(written.etag(), "\"v8\"");
}

#[test]
fn replies_are_as_they_were() {
    for outcome in [Outcome::Applied, Outcome::Rejected] {
        let written = Reply::from(&sample::outcome(outcome));
        let bytes = golden(&format!("reply-{}", outcome.as_str()), &written.encode());
        assert_eq!(Reply::decode(&bytes).unwrap(), written);
    }
}

#[test]
fn a_receipt_is_as_it_was() {
    let envelope = sample::envelope(&sample::actions()[0].1, true);
    let written = Receipt {
        command_id: envelope.command_id,
        order_id: envelope.order_id,
        producer: envelope.producer,
        fingerprint: envelope.fingerprint,
        accepted_at: envelope.accepted_at,
    };
    let bytes = golden("receipt", &serde_json::to_vec(&written).unwrap());
    assert_eq!(serde_json::from_slice::<Receipt>(&bytes).unwrap(), written);
}

#[test]
fn command_resources_are_as_they_were() {
    let envelope = sample::envelope(&sample::actions()[0].1, true);
    let queued = CommandResource::queued(&envelope, "payload.signature");
    let applied = CommandResource::from(&sample::outcome(Outcome::Applied));
    let rejected = CommandResource::from(&sample::outcome(Outcome::Rejected));
    for (name, written) in [
        ("queued", queued),
        ("applied", applied),
        ("rejected", rejected),
    ] {
        let bytes = golden(
            &format!("command-{name}"),
            &serde_json::to_vec(&written).unwrap(),
        );
        assert_eq!(
            serde_json::from_slice::<CommandResource>(&bytes).unwrap(),
            written
        );
    }
}

#[test]
fn problems_are_as_they_were() {
    let refused =
        orderly_protocol::parse_action("hold", &serde_json::json!({"why": 1})).unwrap_err();
    let invalid = Problem::new(ProblemCode::InvalidCommand, "The command has 2 faults.")
        .with_errors(refused)
        .with_request_id("0190a5c1-2b3c-7d4e-8f50-617283940517");
    let rejection = sample::outcome(Outcome::Rejected).rejection.unwrap();
    let rejected = Problem::rejection(&rejection, "/data");
    let plain = Problem::new(
        ProblemCode::ShardFull,
        "The same Idempotency-Key makes a retry safe.",
    );
    for (name, written) in [
        ("invalid", invalid),
        ("rejected", rejected),
        ("plain", plain),
    ] {
        let bytes = golden(
            &format!("problem-{name}"),
            &serde_json::to_vec(&written).unwrap(),
        );
        assert_eq!(serde_json::from_slice::<Problem>(&bytes).unwrap(), written);
    }
}
