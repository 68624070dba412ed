//! The topology is declared once, checked without changing anything, and is what the contract says.

use orderly_broker::{
    Message,
    topology::{self, EventLog, TopologyError},
};
use orderly_protocol::{ShardId, names};

use crate::broker::{Broker, PREFETCH, SHARD, next};

#[tokio::test]
async fn declaring_twice_changes_nothing_and_check_then_holds() {
    let broker = Broker::empty().await;
    let connection = broker.connect("setup").await;
    let missing = topology::check(&connection, 1, 2).await;
    assert!(
        matches!(&missing, Err(TopologyError::Missing { object }) if object == "orders.commands"),
        "{missing:?}"
    );
    topology::declare(&connection, 1, 2).await.unwrap();
    topology::declare(&connection, 1, 2).await.unwrap();
    topology::check(&connection, 1, 2).await.unwrap();
    let missing = topology::check(&connection, 1, 3).await;
    assert!(
        matches!(&missing, Err(TopologyError::Missing { object }) if object == "orders.g1.002"),
        "{missing:?}"
    );
    assert!(
        connection.lost_reason().is_none(),
        "asking leaves the connection alone"
    );
}

#[tokio::test]
async fn other_arguments_are_named() {
    let broker = Broker::with_shards(1, 1_000).await;
    let connection = broker.connect("setup").await;
    let different = topology::declare_generation(&connection, 1, 1, 2_000).await;
    assert!(
        matches!(&different, Err(TopologyError::Different { object, .. }) if object == "orders.g1.000"),
        "{different:?}"
    );
    let shorter = EventLog {
        max_age: "1D".to_owned(),
        ..EventLog::default()
    };
    let different = topology::declare_shared(&connection, shorter).await;
    assert!(
        matches!(&different, Err(TopologyError::Different { object, .. }) if object == names::EVENTS_STREAM),
        "{different:?}"
    );
}

#[tokio::test]
async fn each_shard_gets_its_own_commands() {
    let broker = Broker::with_shards(3, 1_000).await;
    let connection = broker.connect("publish").await;
    let mut publisher = connection.publisher().await.unwrap();
    for shard in 0..3 {
        let id = ShardId {
            generation: 1,
            shard,
        };
        let message = Message::commands(id.to_string());
        let key = id.routing_key();
        let publish = publisher.publish_mandatory(names::COMMANDS_EXCHANGE, &key, &message);
        publish.await.unwrap();
        assert_eq!(broker.drain(id).await, [id.to_string().into_bytes()]);
    }
}

#[tokio::test]
async fn payments_gets_the_events_it_acts_on_and_no_others() {
    let broker = Broker::with_shard().await;
    let connection = broker.connect("relay").await;
    let mut publisher = connection.publisher().await.unwrap();
    let wanted = [
        "payment_requested",
        "payment_authorized",
        "payment_captured",
        "refund_requested",
        "cancelled",
    ];
    let others = ["placed", "payment_declined", "refunded", "shipped"];
    let events = wanted
        .iter()
        .zip(others.iter().cycle())
        .flat_map(|(a, b)| [*b, *a]);
    let window: Vec<_> = events
        .map(|event| {
            (
                format!("order.{event}.id"),
                Message::persistent(event, names::JSON_TYPE),
            )
        })
        .collect();
    let refused = publisher
        .publish_window(names::EVENTS_EXCHANGE, &window)
        .await;
    assert!(refused.unwrap().is_empty());
    let subscribe = connection.subscribe_queue(names::PAYMENTS_QUEUE, PREFETCH);
    let mut subscription = subscribe.await.unwrap();
    for event in wanted {
        assert_eq!(&next(&mut subscription).await.body[..], event.as_bytes());
    }
    assert!(subscription.try_next().is_none());
}

#[tokio::test]
async fn a_queue_says_how_much_it_holds() {
    let broker = Broker::with_shard().await;
    broker.publish(1..=5).await;
    let connection = broker.connect("ask").await;
    let status = topology::queue_status(&connection, &SHARD.queue())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((status.messages, status.consumers), (5, 0));
    assert_eq!(
        topology::queue_status(&connection, "orders.g9.000")
            .await
            .unwrap(),
        None
    );
    let missing = connection
        .subscribe_shard(
            &ShardId {
                generation: 9,
                shard: 0,
            },
            PREFETCH,
        )
        .await;
    assert!(missing.map(drop).unwrap_err().is_not_found());
}
