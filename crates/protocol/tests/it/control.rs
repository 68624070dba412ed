//! Control commands: read as they were written, and strict.

use orderly_domain::CommandId;
use orderly_protocol::serde_json::{json, value::to_raw_value};
use orderly_protocol::{Control, ControlAct, ControlKind, Envelope, Replacement, limits};

use crate::sample;

const HEAD: CommandId = sample::COMMAND;

fn controls() -> Vec<(&'static str, Control)> {
    let replacement = Replacement {
        action_type: "annotate".to_owned(),
        data: json!({"key": "k", "value": "v"}),
    };
    let acts = [
        ("lane-retry", ControlAct::Retry { head: HEAD }),
        ("lane-skip", ControlAct::Skip { head: HEAD }),
        (
            "lane-edit",
            ControlAct::Edit {
                head: HEAD,
                replacement,
            },
        ),
        ("lane-discard", ControlAct::Discard { head: HEAD }),
        (
            "order-pause",
            ControlAct::Pause {
                expires_in_seconds: None,
            },
        ),
        (
            "order-pause-expiring",
            ControlAct::Pause {
                expires_in_seconds: Some(60),
            },
        ),
        ("order-resume", ControlAct::Resume { pause: None }),
        (
            "order-resume-expired",
            ControlAct::Resume { pause: Some(HEAD) },
        ),
    ];
    acts.map(|(name, act)| {
        let control = Control {
            by: "k1".to_owned(),
            reason: "the carrier is back".to_owned(),
            act,
        };
        (name, control)
    })
    .into()
}

fn envelope(control: &Control) -> Envelope {
    control.envelope(HEAD, sample::ORDER, sample::PRODUCER, sample::ACCEPTED)
}

#[test]
fn control_commands_are_as_they_were() {
    for (name, control) in controls() {
        let bytes = crate::golden::golden(&format!("control-{name}"), &envelope(&control).encode());
        let read = Envelope::decode(&bytes).unwrap();
        assert_eq!(read.control().unwrap().unwrap(), control, "{name}");
        assert!(read.command().is_err(), "{name} is no command of an order");
    }
}

#[test]
fn no_control_command_can_be_posted_by_a_producer() {
    for kind in ControlKind::ALL {
        let body = json!({"type": kind.as_str(), "data": {}});
        let faults = orderly_protocol::parse_command_request(body).unwrap_err();
        assert_eq!(faults[0].code, "unknown_type", "{kind:?}");
    }
}

#[test]
fn a_control_command_that_is_not_of_its_form_is_refused() {
    let (_, control) = controls().remove(0);
    let long = "x".repeat(limits::REASON_CHARS + 1);
    for data in [
        json!({}),
        json!({"by": "k1", "reason": "r"}),
        json!({"by": "k1", "reason": "", "command_id": HEAD.to_string()}),
        json!({"by": "k1", "reason": long, "command_id": HEAD.to_string()}),
        json!({"by": "k1", "reason": "a\u{0}b", "command_id": HEAD.to_string()}),
        json!({"by": "k1", "reason": "r", "command_id": HEAD.to_string(), "more": 1}),
    ] {
        let mut envelope = envelope(&control);
        envelope.data = to_raw_value(&data).unwrap();
        assert!(envelope.control().unwrap().is_err(), "{data}");
    }
}

#[test]
fn the_key_that_gave_it_is_no_part_of_the_request() {
    let (_, mut control) = controls().remove(0);
    let first = envelope(&control).fingerprint;
    control.by = "k2".to_owned();
    assert_eq!(envelope(&control).fingerprint, first);
    control.reason = "another".to_owned();
    assert_ne!(envelope(&control).fingerprint, first);
}

#[test]
fn requests_of_operators_are_read_and_every_fault_is_told() {
    use orderly_protocol::{LaneGroupRequest, LaneRequest, OrderRequest};
    let body = json!({"command_id": HEAD.to_string(), "reason": "r", "dry_run": true});
    let read = LaneRequest::parse(ControlKind::LaneSkip, &body).unwrap();
    assert_eq!(
        (read.act, read.dry_run),
        (ControlAct::Skip { head: HEAD }, true)
    );
    let faults = |result: Result<(), Vec<orderly_protocol::FieldFault>>| {
        let faults = result.unwrap_err().into_iter();
        faults.map(|fault| fault.pointer).collect::<Vec<_>>()
    };
    let edit = LaneRequest::parse(ControlKind::LaneEdit, &json!({"dry_run": 1}));
    assert_eq!(
        faults(edit.map(drop)),
        ["/command_id", "/reason", "/dry_run", "/replacement"]
    );
    let group = LaneGroupRequest::parse(&json!({"fingerprint": "f", "reason": "r"})).unwrap();
    assert_eq!((group.limit, group.dry_run), (limits::GROUP_LANES, false));
    let group = json!({"fingerprint": "f", "reason": "r", "limit": 0, "per_second": 51});
    let group = LaneGroupRequest::parse(&group);
    assert_eq!(faults(group.map(drop)), ["/limit", "/per_second"]);
    let pause = OrderRequest::parse_pause(&json!({"reason": "r", "expires_in_seconds": 0}));
    assert_eq!(faults(pause.map(drop)), ["/expires_in_seconds"]);
    let resume = OrderRequest::parse_resume(&json!({"reason": "r", "more": 1}));
    assert_eq!(faults(resume.map(drop)), ["/more"]);
}
