//! Commands of a shard come in queue order, whatever happens to whoever holds them.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use lapin::options::QueueDeleteOptions;
use orderly_broker::{BrokerConfig, BrokerError, Connection, ShardSubscription};

use crate::{
    broker::{Broker, PATIENCE, PREFETCH, SHARD, next, number, publish_number, run, take, until},
    proxy::Proxy,
};

/// One end of the queue.
struct Consumer {
    connection: Connection,
    subscription: ShardSubscription,
}

impl Consumer {
    async fn start(config: &BrokerConfig) -> Self {
        let connection = Connection::open(config).await.unwrap();
        let subscription = connection.subscribe_shard(&SHARD, PREFETCH).await.unwrap();
        Self {
            connection,
            subscription,
        }
    }

    /// Receives and acknowledges everything from `first` to `last`, in order.
    async fn goes_on(&mut self, first: u32, last: u32) {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&last) {
            let delivery = next(&mut self.subscription).await;
            numbers.push(number(&delivery.body));
            delivery.ack_through().await.unwrap();
        }
        assert_eq!(numbers, run(first, last));
    }
}

/// A holds 4 to 53 of 100, having acknowledged 1 to 3, and B stands by.
struct Scene {
    /// A's way to the broker.
    proxy: Proxy,
    a: Consumer,
    b: Consumer,
    broker: Broker,
}

impl Scene {
    async fn set() -> Self {
        let broker = Broker::with_shard().await;
        broker.publish(1..=100).await;
        let proxy = Proxy::start(&broker).await;
        let mut a = Consumer::start(&BrokerConfig::new(proxy.url(), "a")).await;
        let mut b = Consumer::start(&broker.config("b")).await;
        let (numbers, mut deliveries) = take(&mut a.subscription, 3).await;
        assert_eq!(numbers, [1, 2, 3]);
        deliveries.pop().unwrap().ack_through().await.unwrap();
        assert_eq!(take(&mut a.subscription, 50).await.0, run(4, 53));
        assert!(
            b.subscription.try_next().is_none(),
            "only one consumer is active"
        );
        Self {
            proxy,
            a,
            b,
            broker,
        }
    }
}

/// `basic.cancel`, `get`, `reject`, `recover` (both) and `nack`: each reorders a quorum queue.
const REORDERING: [(u16, u16); 6] = [
    (60, 30),
    (60, 70),
    (60, 90),
    (60, 100),
    (60, 110),
    (60, 120),
];
const BASIC_CONSUME: (u16, u16) = (60, 20);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const CONNECTION_CLOSE: (u16, u16) = (10, 50);

/// A consumer ended by sending `last`, and never sent anything that reorders. Waits for `last`: a drop does not.
async fn assert_ended_by(last: (u16, u16), proxy: &Proxy) {
    until("it ends", || proxy.methods().contains(&last)).await;
    let sent = proxy.methods();
    assert!(sent.contains(&BASIC_CONSUME), "the proxy sees what is sent");
    assert!(
        !sent.iter().any(|method| REORDERING.contains(method)),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_cut_connection_hands_over_in_order() {
    let mut scene = Scene::set().await;
    scene.proxy.cut();
    scene.b.goes_on(4, 100).await;
}

#[tokio::test]
async fn a_closed_connection_hands_over_in_order() {
    let mut scene = Scene::set().await;
    scene.a.connection.close().await;
    scene.b.goes_on(4, 100).await;
    assert_ended_by(CONNECTION_CLOSE, &scene.proxy).await;
}

#[tokio::test]
async fn a_closed_subscription_hands_over_at_exactly_the_next() {
    let mut scene = Scene::set().await;
    scene.a.subscription.close().await.unwrap();
    scene.b.goes_on(4, 100).await;
    assert_ended_by(CHANNEL_CLOSE, &scene.proxy).await;
    assert!(
        scene.a.connection.lost_reason().is_none(),
        "its connection lives on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_subscription_hands_over_in_order() {
    for _ in 0..5 {
        let mut scene = Scene::set().await;
        drop(scene.a.subscription);
        scene.b.goes_on(4, 100).await;
        assert_ended_by(CHANNEL_CLOSE, &scene.proxy).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_that_unwinds_hands_over_in_order() {
    for _ in 0..5 {
        let mut scene = Scene::set().await;
        let subscription = scene.a.subscription;
        let task = tokio::spawn(async move {
            let _held = subscription;
            panic!("a panic that the test wants");
        });
        assert!(task.await.unwrap_err().is_panic());
        scene.b.goes_on(4, 100).await;
        assert_ended_by(CHANNEL_CLOSE, &scene.proxy).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_and_subscription_hand_over_in_order() {
    let mut scene = Scene::set().await;
    drop(scene.a);
    scene.b.goes_on(4, 100).await;
    assert_ended_by(CONNECTION_CLOSE, &scene.proxy).await;
}

#[tokio::test]
async fn a_double_crash_keeps_the_order() {
    let mut scene = Scene::set().await;
    let mut c = Consumer::start(&scene.broker.config("c")).await;
    scene.proxy.cut();
    assert_eq!(take(&mut scene.b.subscription, 50).await.0, run(4, 53));
    drop(scene.b);
    c.goes_on(4, 100).await;
}

#[tokio::test]
async fn a_silent_consumer_is_replaced_within_three_heartbeats() {
    let mut scene = Scene::set().await;
    scene.proxy.silence();
    let since = Instant::now();
    let ended = tokio::time::timeout(PATIENCE, scene.a.subscription.next())
        .await
        .unwrap();
    assert!(ended.is_err(), "the client notices too");
    assert!(
        since.elapsed() < Duration::from_secs(13),
        "{:?}",
        since.elapsed()
    );
    scene.b.goes_on(4, 100).await;
    assert!(
        since.elapsed() < Duration::from_secs(20),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn nothing_that_a_lost_connection_had_delivered_is_handed_out() {
    let broker = Broker::with_shard().await;
    broker.publish(1..=20).await;
    let proxy = Proxy::start(&broker).await;
    let mut a = Consumer::start(&BrokerConfig::new(proxy.url(), "a")).await;
    let held = next(&mut a.subscription).await;
    // All 20 are with lapin by now: it takes them off the socket without being asked.
    let mut b = Consumer::start(&broker.config("b")).await;
    proxy.cut();
    a.connection.lost().cancelled().await;
    assert!(a.subscription.try_next().is_none());
    assert!(matches!(
        a.subscription.next().await,
        Err(BrokerError::Lost { .. })
    ));
    assert!(held.ack_through().await.is_err());
    b.goes_on(1, 20).await;
}

#[tokio::test]
async fn nothing_is_handed_out_after_a_publish_cut_the_connection() {
    let broker = Broker::with_shard().await;
    broker.publish(1..=20).await;
    let mut a = Consumer::start(&broker.config("a")).await;
    let mut publisher = a.connection.publisher().await.unwrap();
    // Its confirm comes after the deliveries on one socket: all of them have arrived.
    publish_number(&mut publisher, 21).await;
    assert!(a.subscription.try_next().is_some());
    assert!(publish_number(&mut publisher, 22).now_or_never().is_none());
    // lapin does not know yet that its socket is gone.
    assert!(a.subscription.try_next().is_none());
}

#[tokio::test]
async fn an_ack_after_the_channel_ended_is_an_error() {
    let mut scene = Scene::set().await;
    let connection = scene.broker.connect("c").await;
    scene.a.subscription.close().await.unwrap();
    let mut held = take(&mut scene.b.subscription, 2).await.1;
    scene.b.subscription.close().await.unwrap();
    let ack = held.pop().unwrap().ack_through().await;
    assert!(matches!(ack, Err(BrokerError::NotAcknowledged)), "{ack:?}");
    let subscription = connection.subscribe_shard(&SHARD, PREFETCH).await.unwrap();
    Consumer {
        connection,
        subscription,
    }
    .goes_on(4, 100)
    .await;
}

#[tokio::test]
async fn a_deleted_queue_ends_the_subscription() {
    let broker = Broker::with_shard().await;
    let mut a = Consumer::start(&broker.config("a")).await;
    let raw = broker.raw_channel().await;
    raw.queue_delete(SHARD.queue().into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    assert!(
        tokio::time::timeout(PATIENCE, a.subscription.next())
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
    assert!(a.subscription.try_next().is_none());
}

#[tokio::test]
async fn the_server_ending_a_connection_is_noticed_with_its_reason() {
    let broker = Broker::with_shard().await;
    let mut a = Consumer::start(&broker.config("a")).await;
    let idle = broker.connect("idle").await;
    broker.close_connections("maintenance").await;
    assert!(
        tokio::time::timeout(PATIENCE, a.subscription.next())
            .await
            .unwrap()
            .is_err()
    );
    for connection in [&a.connection, &idle] {
        tokio::time::timeout(PATIENCE, connection.lost().cancelled())
            .await
            .unwrap();
        let reason = connection.lost_reason();
        let Some(BrokerError::Failed { source, .. }) = &reason else {
            panic!("{reason:?}")
        };
        assert_eq!(
            source.reply_code(),
            Some(320),
            "connection forced: {source}"
        );
    }
}

#[tokio::test]
async fn more_than_twenty_crashes_lose_nothing() {
    let broker = Broker::with_shard().await;
    broker.publish(1..=30).await;
    for crash in 0..25 {
        let mut consumer = Consumer::start(&broker.config("crash")).await;
        let (numbers, deliveries) = take(&mut consumer.subscription, 10).await;
        assert_eq!(numbers, run(1, 10));
        assert_eq!(deliveries[0].delivery_count, crash);
        assert_eq!(deliveries[0].redelivered, crash > 0);
        drop(consumer);
    }
    let mut consumer = Consumer::start(&broker.config("last")).await;
    let delivery = next(&mut consumer.subscription).await;
    assert_eq!(delivery.delivery_count, 25);
    assert_eq!(delivery.headers_json()["x-delivery-count"], 25);
    delivery.ack_through().await.unwrap();
    consumer.goes_on(2, 30).await;
}

#[tokio::test]
async fn what_has_arrived_is_taken_without_waiting_and_in_order() {
    let broker = Broker::with_shard().await;
    let mut a = Consumer::start(&broker.config("a")).await;
    assert!(a.subscription.try_next().is_none());
    broker.publish(1..=20).await;
    let mut numbers = Vec::new();
    until("20 deliveries", || {
        while let Some(delivery) = a.subscription.try_next() {
            numbers.push(number(&delivery.body));
        }
        numbers.len() == 20
    })
    .await;
    assert_eq!(numbers, run(1, 20));
}

#[tokio::test]
async fn a_waiting_next_that_is_dropped_loses_nothing() {
    let broker = Broker::with_shard().await;
    let mut a = Consumer::start(&broker.config("a")).await;
    let publish = tokio::spawn(async move {
        broker.publish(1..=200).await;
    });
    let mut numbers = Vec::new();
    while numbers.len() < 200 {
        let next = tokio::time::timeout(Duration::from_micros(300), a.subscription.next());
        if let Ok(delivery) = next.await {
            let delivery = delivery.unwrap().unwrap();
            numbers.push(number(&delivery.body));
            delivery.ack_through().await.unwrap();
        }
    }
    publish.await.unwrap();
    assert_eq!(numbers, run(1, 200));
}

/// Owners come and go in every way while commands flow; each new one must see what it has not seen in order, and no
/// number may be acknowledged before the one below it.
#[tokio::test]
async fn owners_that_come_and_go_under_load_never_reorder() {
    const LAST: u32 = 3_000;
    let broker = Broker::with_shard().await;
    let proxy = Proxy::start(&broker).await;
    let connection = broker.connect("load").await;
    let load = tokio::spawn(async move {
        let mut publisher = connection.publisher().await.unwrap();
        for number in 1..=LAST {
            publish_number(&mut publisher, number).await;
        }
    });
    let through_proxy = BrokerConfig::new(proxy.url(), "owner");
    let mut applied = 0;
    let mut owner = Consumer::start(&through_proxy).await;
    for round in 0.. {
        let mut standby = Consumer::start(&through_proxy).await;
        // Applies some, holds others, and ends.
        for step in 0..40 + round % 7 {
            let delivery = next(&mut owner.subscription).await;
            let number = number(&delivery.body);
            assert!(
                number <= applied + 1,
                "round {round}: {number} came after {applied}"
            );
            applied = applied.max(number);
            if step % 5 == 4 {
                delivery.ack_through().await.unwrap();
            }
            if number == LAST {
                assert_eq!(applied, LAST);
                load.await.unwrap();
                return;
            }
        }
        match round % 4 {
            0 => drop(owner),
            1 => owner.subscription.close().await.unwrap(),
            2 => owner.connection.close().await,
            _ => {
                proxy.cut();
                standby.connection.lost().cancelled().await;
                standby = Consumer::start(&through_proxy).await;
            }
        }
        owner = standby;
    }
}
