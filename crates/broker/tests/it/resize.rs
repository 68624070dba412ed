//! The connection of whoever coordinates a resize: one at a time, and what it took off stays off.

use orderly_broker::{Confirm, ResizeLink, topology};
use orderly_protocol::{Marker, names};

use crate::broker::{Broker, PREFETCH, SHARD, next, publish_number};

#[tokio::test]
async fn there_is_one_coordinator_and_its_end_makes_room_for_the_next() {
    let broker = Broker::with_shard().await;
    let take = async |name| ResizeLink::take(broker.connect(name).await).await.unwrap();
    let mut first = take("first").await.expect("nobody else is");
    assert!(take("second").await.is_none());
    broker.close_connections("a test").await;
    let second = take("second")
        .await
        .expect("the first one's connection is gone");
    assert!(first.unbind(1, 1).await.is_err(), "its calls lead nowhere");
    assert!(first.mark(SHARD, Marker::Second).await.is_err());
    second.close().await;
    take("third")
        .await
        .expect("it was given back")
        .close()
        .await;

    // Neither did anything.
    let publishing = broker.connect("publishing").await;
    let mut publisher = publishing.publisher().await.unwrap();
    assert_eq!(publish_number(&mut publisher, 1).await, Confirm::Stored);
    assert_eq!(broker.drain(SHARD).await, [b"1"]);
}

#[tokio::test]
async fn what_is_unbound_returns_probes_and_commands_and_takes_markers_behind_what_it_holds() {
    let broker = Broker::with_shard().await;
    let link = ResizeLink::take(broker.connect("resize").await).await;
    let mut link = link.unwrap().unwrap();
    let publishing = broker.connect("publishing").await;
    let mut publisher = publishing.publisher().await.unwrap();
    assert_eq!(publish_number(&mut publisher, 1).await, Confirm::Stored);
    // A probe that gets through is a marker that means nothing.
    assert!(!link.is_unbound(1, 1).await.unwrap());
    assert!(!topology::is_unbound(&mut publisher, 1, 1).await.unwrap());
    for _ in 0..2 {
        link.unbind(1, 1).await.unwrap();
        assert!(link.is_unbound(1, 1).await.unwrap());
        assert!(topology::is_unbound(&mut publisher, 1, 1).await.unwrap());
        assert_eq!(publish_number(&mut publisher, 2).await, Confirm::Returned);
    }
    assert_eq!(
        link.mark(SHARD, Marker::Second).await.unwrap(),
        Confirm::Stored
    );
    link.declare(2, 3).await.unwrap();
    assert!(!link.is_unbound(2, 3).await.unwrap(), "bound at once");
    assert!(link.is_stored(2, 3).await.unwrap());
    assert!(!link.is_stored(2, 4).await.unwrap(), "one is missing");
    link.close().await;

    let consuming = broker.connect("consuming").await;
    let mut subscription = consuming.subscribe_shard(&SHARD, PREFETCH).await.unwrap();
    let mut met = Vec::new();
    for _ in 0..4 {
        let delivery = next(&mut subscription).await;
        let marker = (delivery.schema.as_deref() == Some(names::MARKERS_SCHEMA))
            .then(|| Marker::decode(&delivery.body).unwrap());
        met.push(marker);
    }
    let probe = Some(Marker::Probe);
    assert_eq!(met, [None, probe, probe, Some(Marker::Second)]);
}
