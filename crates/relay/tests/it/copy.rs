//! What is copied, and in which order.

use orderly_protocol::CloudEvent;
use orderly_protocol::names::CLOUDEVENT_TYPE;

use crate::support::{Fixture, events, ids, ids_of, until};

#[tokio::test]
async fn every_event_is_copied_in_order_under_its_routing_key() {
    let mut fixture = Fixture::new().await;
    let mut probe = fixture.probe("probe").await;
    let mut written = Vec::new();
    for round in 0..3 {
        let mut batch = events(1, round * 2 + 1..=round * 2 + 2);
        batch.extend(events(2, round + 1..=round + 1));
        fixture.write(&batch).await;
        written.extend(batch);
    }
    let relay = fixture.relay().await;
    let copies = probe.take(written.len()).await;
    assert_eq!(ids_of(&copies), ids(&written));
    assert_eq!(
        copies[0].routing_key,
        format!("order.placed.{}", written[0].order_id)
    );
    assert_eq!(
        copies[1].routing_key,
        format!("order.annotated.{}", written[0].order_id)
    );
    for (copy, event) in copies.iter().zip(&written) {
        assert_eq!(copy.content_type, CLOUDEVENT_TYPE);
        assert_eq!(copy.body, CloudEvent::from(event).encode());
    }
    assert!(relay.readiness.is_ready());
    relay.stop().await;
}

#[tokio::test]
async fn the_offset_moves_after_the_copies_and_nothing_is_copied_again() {
    let mut fixture = Fixture::new().await;
    let mut probe = fixture.probe("probe").await;
    for version in 1..=3 {
        fixture.write(&events(1, version..=version)).await;
    }
    let relay = fixture.relay().await;
    probe.take(3).await;
    until(async || fixture.store.relay_offset("events").await.unwrap() == Some(2)).await;
    relay.stop().await;

    fixture.write(&events(1, 4..=4)).await;
    let relay = fixture.relay().await;
    assert_eq!(ids_of(&probe.take(1).await), ids(&events(1, 4..=4)));
    relay.stop().await;
}

#[tokio::test]
async fn of_two_relays_one_copies_and_the_other_takes_over() {
    let mut fixture = Fixture::new().await;
    let mut probe = fixture.probe("probe").await;
    fixture.write(&events(1, 1..=1)).await;
    let first = fixture.relay().await;
    probe.take(1).await;
    let second = fixture.relay().await;
    // A standby is ready as soon as it has seen that another one is active.
    until(async || second.readiness.is_ready()).await;

    for version in 2..=50 {
        fixture.write(&events(1, version..=version)).await;
    }
    assert_eq!(ids_of(&probe.take(49).await), ids(&events(1, 2..=50)));
    first.stop().await;
    fixture.write(&events(1, 51..=60)).await;
    assert_eq!(
        ids_of(&probe.take(10).await),
        ids(&events(1, 51..=60)),
        "nothing comes twice"
    );
    second.stop().await;
}
