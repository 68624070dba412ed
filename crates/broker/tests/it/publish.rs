//! A publish is stored, returned, refused or unknown, and says which.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use orderly_broker::{BrokerConfig, BrokerError, Confirm, Connection, Message, UrlError};
use orderly_protocol::names;

use crate::{
    broker::{Broker, PATIENCE, PREFETCH, SHARD, next, number, publish_number, set, until},
    proxy::Proxy,
};

#[tokio::test]
async fn a_stored_message_arrives_as_it_was_sent() {
    let broker = Broker::with_shard().await;
    let connection = broker.connect("publish").await;
    let mut publisher = connection.publisher().await.unwrap();
    let message = Message {
        message_id: Some("m-1".into()),
        ..Message::commands("{}")
    };
    let key = SHARD.routing_key();
    let confirm = publisher
        .publish_mandatory(names::COMMANDS_EXCHANGE, &key, &message)
        .await;
    assert_eq!(confirm.unwrap(), Confirm::Stored);

    let mut subscription = connection.subscribe_shard(&SHARD, PREFETCH).await.unwrap();
    let delivery = next(&mut subscription).await;
    assert_eq!(&delivery.body[..], b"{}");
    assert_eq!(delivery.schema.as_deref(), Some(names::COMMANDS_SCHEMA));
    assert_eq!(delivery.content_type.as_deref(), Some(names::JSON_TYPE));
    assert_eq!(delivery.message_id.as_deref(), Some("m-1"));
    assert_eq!(delivery.routing_key, "g1.000");
    assert_eq!((delivery.redelivered, delivery.delivery_count), (false, 0));
    assert_eq!(delivery.headers_json()["schema"], names::COMMANDS_SCHEMA);
}

/// Publishes from many channels at once, each message to the shard or to nowhere, and answers which number got which confirm.
async fn publish_mixed(broker: &Broker, to_nowhere: fn(u32) -> bool) -> Vec<(u32, Confirm)> {
    let connection = broker.connect("publish").await;
    let mut tasks = Vec::new();
    for task in 0..16 {
        let mut publisher = connection.publisher().await.unwrap();
        tasks.push(tokio::spawn(async move {
            let mut confirms = Vec::new();
            for number in (task * 200)..(task * 200 + 200) {
                let message = Message::commands(number.to_string());
                let key = if to_nowhere(number) {
                    "nowhere".into()
                } else {
                    SHARD.routing_key()
                };
                let publish = publisher.publish_mandatory(names::COMMANDS_EXCHANGE, &key, &message);
                confirms.push((number, publish.await.unwrap()));
            }
            confirms
        }));
    }
    let mut confirms = Vec::new();
    for task in tasks {
        confirms.extend(task.await.unwrap());
    }
    confirms
}

/// The numbers that got this confirm.
fn with(confirms: &[(u32, Confirm)], confirm: Confirm) -> BTreeSet<u32> {
    let numbers = confirms.iter().filter(|(_, got)| *got == confirm);
    set(numbers.map(|(number, _)| *number))
}

#[tokio::test]
async fn under_load_exactly_the_unroutable_are_returned() {
    let broker = Broker::with_shard().await;
    let to_nowhere: fn(u32) -> bool = |number| number % 3 == 1;
    let confirms = publish_mixed(&broker, to_nowhere).await;
    let expected = set((0..3_200).filter(|number| to_nowhere(*number)));
    assert_eq!(with(&confirms, Confirm::Returned), expected);
    let stored = set(broker.drain(SHARD).await.iter().map(|body| number(body)));
    assert_eq!(with(&confirms, Confirm::Stored), stored);
    assert_eq!(stored.len() + expected.len(), 3_200);
}

#[tokio::test]
async fn under_load_exactly_what_a_full_queue_refused_is_refused() {
    let broker = Broker::with_shards(1, 500).await;
    let confirms = publish_mixed(&broker, |_| false).await;
    let refused = with(&confirms, Confirm::Refused);
    assert!(!refused.is_empty());
    let stored = with(&confirms, Confirm::Stored);
    assert_eq!(stored.len() + refused.len(), 3_200);
    let connection = broker.connect("drain").await;
    let mut subscription = connection.subscribe_shard(&SHARD, PREFETCH).await.unwrap();
    let mut found = Vec::new();
    for _ in 0..stored.len() {
        let delivery = next(&mut subscription).await;
        found.push(number(&delivery.body));
        delivery.ack_through().await.unwrap();
    }
    assert_eq!(set(found), stored);
    assert!(subscription.try_next().is_none());
}

#[tokio::test]
async fn a_publish_dropped_midway_cuts_its_connection() {
    let broker = Broker::with_shard().await;
    let proxy = Proxy::start(&broker).await;
    let connection = Connection::open(&BrokerConfig::new(proxy.url(), "publish"))
        .await
        .unwrap();
    let mut publisher = connection.publisher().await.unwrap();
    let message = Message::commands("1");
    let key = SHARD.routing_key();
    let publish = publisher.publish_mandatory(names::COMMANDS_EXCHANGE, &key, &message);
    assert!(
        publish.now_or_never().is_none(),
        "a confirm takes a round trip"
    );
    assert!(connection.lost().is_cancelled());
    assert!(matches!(
        connection.lost_reason(),
        Some(BrokerError::PublishDropped)
    ));
    assert!(!publisher.is_alive());
    until("its socket is closed", || proxy.open() == 0).await;
    let next = publisher
        .publish_mandatory(names::COMMANDS_EXCHANGE, &key, &message)
        .await;
    assert!(next.is_err());
}

#[tokio::test]
async fn a_silent_broker_makes_a_publish_unknown_within_ten_seconds() {
    let broker = Broker::with_shard().await;
    let proxy = Proxy::start(&broker).await;
    let connection = Connection::open(&BrokerConfig::new(proxy.url(), "publish"))
        .await
        .unwrap();
    let mut publisher = connection.publisher().await.unwrap();
    proxy.silence();
    let since = Instant::now();
    let message = Message::commands("1");
    let key = SHARD.routing_key();
    let publish = publisher.publish_mandatory(names::COMMANDS_EXCHANGE, &key, &message);
    assert!(
        tokio::time::timeout(PATIENCE, publish)
            .await
            .unwrap()
            .is_err()
    );
    assert!(
        since.elapsed() < Duration::from_secs(12),
        "{:?}",
        since.elapsed()
    );
    assert!(connection.lost().is_cancelled());
    until("its socket is closed", || proxy.open() == 0).await;
}

#[tokio::test]
async fn a_silent_peer_is_given_up_within_five_seconds_and_leaves_nothing_open() {
    let broker = Broker::empty().await;
    let proxy = Proxy::start(&broker).await;
    proxy.silence();
    let since = Instant::now();
    let opened = Connection::open(&BrokerConfig::new(proxy.url(), "test")).await;
    assert!(matches!(opened.map(drop), Err(BrokerError::Timeout { .. })));
    let elapsed = since.elapsed();
    assert!(
        (Duration::from_secs(5)..Duration::from_secs(7)).contains(&elapsed),
        "{elapsed:?}"
    );
    until("its socket is closed", || proxy.open() == 0).await;
}

#[tokio::test]
async fn an_abandoned_attempt_to_connect_leaves_nothing_open() {
    let broker = Broker::empty().await;
    let proxy = Proxy::start(&broker).await;
    proxy.silence();
    let config = BrokerConfig::new(proxy.url(), "test");
    let open = tokio::spawn(async move { Connection::open(&config).await.map(drop) });
    until("it connects", || proxy.open() == 1).await;
    open.abort();
    until("its socket is closed", || proxy.open() == 0).await;
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_says_why() {
    let error = Connection::open(&BrokerConfig::new("redis://h", "test"))
        .await
        .map(drop);
    assert!(matches!(error, Err(BrokerError::Url(UrlError::Scheme))));
    let nobody = BrokerConfig::new("amqp://guest:guest@127.0.0.1:1/%2f", "test");
    let error = Connection::open(&nobody).await.map(drop);
    assert!(
        matches!(error, Err(BrokerError::Failed { .. })),
        "{error:?}"
    );
    let broker = Broker::empty().await;
    let url = format!("{}-missing", broker.url());
    let error = Connection::open(&BrokerConfig::new(url, "test"))
        .await
        .map(drop);
    assert!(
        matches!(error, Err(BrokerError::Failed { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_window_is_published_in_order_and_counts_what_was_refused() {
    let broker = Broker::with_shards(1, 300).await;
    let connection = broker.connect("publish").await;
    let mut publisher = connection.publisher().await.unwrap();
    let window = |numbers: std::ops::Range<u32>| -> Vec<(String, Message)> {
        let message = |number: u32| (SHARD.routing_key(), Message::commands(number.to_string()));
        numbers.map(message).collect()
    };
    let refused = publisher
        .publish_window(names::COMMANDS_EXCHANGE, &window(0..290))
        .await
        .unwrap();
    assert!(refused.is_empty());
    let unbound = [("nowhere".to_owned(), Message::commands("x"))];
    let refused_unbound = publisher
        .publish_window(names::COMMANDS_EXCHANGE, &unbound)
        .await;
    assert!(refused_unbound.unwrap().is_empty());
    let refused = publisher
        .publish_window(names::COMMANDS_EXCHANGE, &window(290..1_000))
        .await
        .unwrap();
    assert!(!refused.is_empty());

    let mut subscription = connection.subscribe_shard(&SHARD, PREFETCH).await.unwrap();
    let mut numbers = Vec::new();
    for _ in 0..1_000 - refused.len() {
        let delivery = next(&mut subscription).await;
        numbers.push(number(&delivery.body));
        delivery.ack_through().await.unwrap();
    }
    assert!(numbers.is_sorted());
    assert_eq!(numbers[..290], (0..290).collect::<Vec<_>>());
    let refused: BTreeSet<u32> = refused
        .iter()
        .map(|index| 290 + u32::try_from(*index).unwrap())
        .collect();
    assert_eq!(&set(0..1_000) - &refused, set(numbers));
}

#[tokio::test]
async fn replies_reach_their_queue_and_a_lost_queue_harms_nobody() {
    let broker = Broker::with_shard().await;
    let listener = broker.connect("listen").await;
    let mut replies = listener.reply_queue("orders.reply.test").await.unwrap();
    let connection = broker.connect("reply").await;
    let mut publisher = connection.publisher().await.unwrap();
    let reply = Message::transient("yes", names::JSON_TYPE);
    publisher
        .publish_unconfirmed("orders.reply.gone", &reply)
        .await
        .unwrap();
    publisher
        .publish_unconfirmed("orders.reply.test", &reply)
        .await
        .unwrap();
    assert_eq!(
        publish_number(&mut publisher, 1).await,
        Confirm::Stored,
        "confirms still match"
    );
    let got = tokio::time::timeout(PATIENCE, replies.next())
        .await
        .unwrap();
    assert_eq!(got.as_deref(), Some(&b"yes"[..]));
    let taken = connection.reply_queue("orders.reply.test").await.map(drop);
    assert!(taken.is_err(), "the queue is exclusive");
    listener.close().await;
    assert!(replies.next().await.is_none());
}
