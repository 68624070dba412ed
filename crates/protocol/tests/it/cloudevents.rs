//! Batches of status events.

use orderly_domain::{Event, Version};
use orderly_protocol::limits::BATCH_BYTES;
use orderly_protocol::{CloudEvent, RecordedEvent, decode_events, encode_events};

use crate::sample;

fn events_of(bytes_each: usize, count: u64) -> Vec<RecordedEvent> {
    let event = Event::Annotated {
        key: "k".to_owned(),
        value: "v".repeat(bytes_each),
    };
    (1..=count)
        .map(|version| RecordedEvent {
            version: Version(version),
            ..sample::recorded(&event)
        })
        .collect()
}

#[test]
fn batches_are_bounded_and_keep_their_order() {
    let events = events_of(100_000, 50);
    let messages = encode_events(&events);
    assert!(messages.len() >= 5);
    assert!(messages.iter().all(|message| message.len() <= BATCH_BYTES));
    // Nearly full: one more event would not have fitted.
    assert!(
        messages[..messages.len() - 1]
            .iter()
            .all(|message| message.len() > BATCH_BYTES - 101_000)
    );
    let read: Vec<u64> = messages
        .iter()
        .flat_map(|message| decode_events(message).unwrap())
        .map(|event| event.version.0)
        .collect();
    assert_eq!(read, (1..=50).collect::<Vec<u64>>());
}

#[test]
fn an_event_larger_than_a_batch_goes_alone() {
    let events = [
        events_of(10, 1),
        events_of(BATCH_BYTES, 1),
        events_of(10, 1),
    ]
    .concat();
    let messages = encode_events(&events);
    assert_eq!(messages.len(), 3);
    assert!(
        messages
            .iter()
            .all(|message| decode_events(message).unwrap().len() == 1)
    );
    assert!(encode_events(&[]).is_empty());
}

#[test]
fn a_batch_of_exactly_the_limit_is_one_message() {
    let one = encode_events(&events_of(10, 1))[0].len();
    // Two events and their comma: brackets and comma are 3 bytes beside the events.
    let rest = BATCH_BYTES - (one - 2) - 3 - (one - 2 - 10);
    let events = |more: usize| [events_of(10, 1), events_of(rest + more, 1)].concat();
    let full = encode_events(&events(0));
    assert_eq!((full.len(), full[0].len()), (1, BATCH_BYTES));
    assert_eq!(encode_events(&events(1)).len(), 2);
}

#[test]
fn attributes_of_later_versions_are_passed_over() {
    let event = CloudEvent::from(&sample::recorded(&Event::Released));
    let text = String::from_utf8(event.encode()).unwrap();
    let later = text.replacen('{', r#"{"dataschema":"x","sampledrate":1,"#, 1);
    let read = CloudEvent::decode(later.as_bytes()).unwrap();
    assert_eq!((read.order_id, read.version), (sample::ORDER, Version(8)));
    assert!(text.contains(r#""sequence":"00000000000000000008""#));
    let foreign = CloudEvent {
        event_type: "com.example.placed".to_owned(),
        ..read
    };
    assert_eq!(foreign.event_name(), None);
    assert!(CloudEvent::decode(b"{}").is_err());
    assert!(
        decode_events(&event.encode()).is_err(),
        "one event is not a batch"
    );
}
