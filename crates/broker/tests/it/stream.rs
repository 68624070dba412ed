//! A stream is read from any offset on, without a gap and without a repetition.

use futures_util::FutureExt;
use orderly_broker::{
    Confirm, Connection, Message, Resumed, StreamMessage, StreamOffset, StreamReader,
};
use orderly_protocol::names;

use crate::broker::{Broker, PATIENCE, number, run};

/// Fewer than there are messages, so that credit must be given back.
const FEW: u16 = 7;

async fn publish(connection: &Connection, numbers: impl IntoIterator<Item = u32>) {
    let mut publisher = connection.publisher().await.unwrap();
    for number in numbers {
        let message = Message::persistent(number.to_string(), names::CLOUDEVENTS_BATCH_TYPE);
        let publish = publisher.publish_mandatory("", names::EVENTS_STREAM, &message);
        assert_eq!(publish.await.unwrap(), Confirm::Stored);
    }
}

async fn read(reader: &mut StreamReader, count: usize) -> Vec<StreamMessage> {
    let mut messages = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(PATIENCE, reader.next()).await;
        messages.push(
            next.expect("no message came")
                .expect("the stream is there")
                .unwrap(),
        );
    }
    messages
}

fn numbers(messages: &[StreamMessage]) -> Vec<u32> {
    messages
        .iter()
        .map(|message| number(&message.body))
        .collect()
}

#[tokio::test]
async fn reading_resumes_exactly_after_an_offset() {
    let broker = Broker::with_shard().await;
    let connection = broker.connect("stream").await;
    publish(&connection, 1..=100).await;
    let stream = names::EVENTS_STREAM;
    let mut reader = connection
        .read_stream(stream, StreamOffset::First, FEW)
        .await
        .unwrap();
    let all = read(&mut reader, 100).await;
    assert_eq!(numbers(&all), run(1, 100));
    assert!(all.is_sorted_by_key(|message| message.offset));
    assert_eq!(
        all[0].content_type.as_deref(),
        Some(names::CLOUDEVENTS_BATCH_TYPE)
    );

    // Chunks begin where they like; every one of these lies somewhere else in its chunk.
    for seen in [0_u32, 1, 41, 42, 43, 97, 98] {
        let after = all[usize::try_from(seen).unwrap()].offset + 1;
        let mut reader = connection
            .read_stream(stream, StreamOffset::At(after), FEW)
            .await
            .unwrap();
        let rest = read(&mut reader, 99 - usize::try_from(seen).unwrap()).await;
        assert_eq!(numbers(&rest), run(seen + 2, 100));
        assert_eq!(rest[0], all[usize::try_from(seen).unwrap() + 1]);
    }
}

#[tokio::test]
async fn a_read_given_up_midway_costs_nothing() {
    let broker = Broker::with_shard().await;
    let connection = broker.connect("stream").await;
    publish(&connection, 1..=100).await;
    let mut reader = connection
        .read_stream(names::EVENTS_STREAM, StreamOffset::First, FEW)
        .await
        .unwrap();
    let mut all = Vec::new();
    while all.len() < 99 {
        // Polled once and dropped: what is there comes at once, what is not there is not lost.
        if let Some(next) = reader.next().now_or_never() {
            all.push(next.expect("the stream is there").unwrap());
        }
        all.extend(read(&mut reader, 1).await);
    }
    assert_eq!(numbers(&all[..99]), run(1, 99));
}

/// Credits go back in the order of their messages, however fast these are read: lapin sends acks that nobody waits for in any
/// order, and to the broker an ack behind one for later messages is an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_fast_reader_keeps_its_channel() {
    const MESSAGES: u32 = 20_000;
    let broker = Broker::with_shard().await;
    let connection = broker.connect("stream").await;
    let message = |number: u32| {
        let body = number.to_string();
        let message = Message::persistent(body, names::CLOUDEVENTS_BATCH_TYPE);
        (names::EVENTS_STREAM.to_owned(), message)
    };
    let all: Vec<_> = (1..=MESSAGES).map(message).collect();
    let mut publisher = connection.publisher().await.unwrap();
    publisher.publish_window("", &all).await.unwrap();
    for prefetch in [8, 32, 100] {
        let mut reader = connection
            .read_stream(names::EVENTS_STREAM, StreamOffset::First, prefetch)
            .await
            .unwrap();
        let read = read(&mut reader, all.len()).await;
        assert_eq!(numbers(&read), run(1, MESSAGES));
    }
}

#[tokio::test]
async fn a_reader_gets_what_comes_later() {
    let broker = Broker::with_shard().await;
    let connection = broker.connect("stream").await;
    publish(&connection, 1..=10).await;
    let stream = names::EVENTS_STREAM;
    let mut next = connection
        .read_stream(stream, StreamOffset::Next, FEW)
        .await
        .unwrap();
    let mut first = connection
        .read_stream(stream, StreamOffset::First, FEW)
        .await
        .unwrap();
    let seen = read(&mut first, 10).await;
    let after = StreamOffset::At(seen[9].offset + 1);
    let mut at_end = connection.read_stream(stream, after, FEW).await.unwrap();
    publish(&connection, 11..=30).await;
    for reader in [&mut next, &mut first, &mut at_end] {
        assert_eq!(numbers(&read(reader, 20).await), run(11, 30));
    }
    let mut last = connection
        .read_stream(stream, StreamOffset::Last, FEW)
        .await
        .unwrap();
    let newest = numbers(&read(&mut last, 1).await)[0];
    assert!((11..=30).contains(&newest), "{newest}");
}

#[tokio::test]
async fn a_reader_ends_with_its_connection() {
    let broker = Broker::with_shard().await;
    let connection = broker.connect("stream").await;
    let open = connection.read_stream(names::EVENTS_STREAM, StreamOffset::First, FEW);
    let mut reader = open.await.unwrap();
    connection.close().await;
    assert!(reader.next().await.is_some_and(|next| next.is_err()));
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn resuming_tells_nothing_new_from_a_lost_tail() {
    let broker = Broker::with_shard().await;
    let connection = broker.connect("stream").await;
    publish(&connection, 1..=10).await;
    let stream = names::EVENTS_STREAM;
    let mut reader = connection
        .read_stream(stream, StreamOffset::First, FEW)
        .await
        .unwrap();
    let all = read(&mut reader, 10).await;

    let Resumed::Continued(mut at_end) = connection
        .resume_stream(stream, all[9].offset, FEW)
        .await
        .unwrap()
    else {
        panic!("the last message is there");
    };
    let Resumed::Continued(mut midway) = connection
        .resume_stream(stream, all[4].offset, FEW)
        .await
        .unwrap()
    else {
        panic!("the fifth message is there");
    };
    let beyond = connection
        .resume_stream(stream, all[9].offset + 100, FEW)
        .await
        .unwrap();
    assert!(matches!(beyond, Resumed::Shorter));
    publish(&connection, [11]).await;
    assert_eq!(numbers(&read(&mut at_end, 1).await), [11]);
    assert_eq!(numbers(&read(&mut midway, 6).await), run(6, 11));
}
