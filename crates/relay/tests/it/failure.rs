//! What the relay does when something is in its way.

use std::collections::HashMap;

use crate::support::{Fixture, Probe, events, ids, ids_of, until};

/// Takes copies until the one of `last` has come; answers with the first copy of each.
async fn first_copies_until(probe: &mut Probe, last: &str) -> Vec<String> {
    let (mut first, mut seen) = (Vec::new(), HashMap::new());
    loop {
        let id = probe.next().await.id;
        let copies: &mut u32 = seen.entry(id.clone()).or_default();
        *copies += 1;
        if *copies == 1 {
            first.push(id.clone());
        }
        if id == last {
            return first;
        }
    }
}

#[tokio::test]
async fn killed_in_the_middle_it_resumes_without_a_gap() {
    let mut fixture = Fixture::new().await;
    let mut probe = fixture.probe("probe").await;
    for message in 0..200 {
        fixture
            .write(&events(1, message * 20 + 1..=message * 20 + 20))
            .await;
    }
    let all = ids(&events(1, 1..=4_000));
    let mut first = Vec::new();
    for progress in [500, 2_000] {
        let relay = fixture.relay().await;
        first.extend(first_copies_until(&mut probe, &all[progress]).await);
        relay.kill().await;
    }
    let relay = fixture.relay().await;
    first.extend(first_copies_until(&mut probe, &all[3_999]).await);
    relay.stop().await;
    let mut seen = std::collections::HashSet::new();
    first.retain(|id| seen.insert(id.clone()));
    assert_eq!(first, all);
}

#[tokio::test]
async fn a_full_queue_does_not_hold_up_the_others() {
    let mut fixture = Fixture::new().await;
    let mut probe = fixture.probe("probe").await;
    fixture.small_queue("full", 10).await;
    let relay = fixture.relay().await;
    for message in 0..50 {
        fixture
            .write(&events(1, message * 20 + 1..=message * 20 + 20))
            .await;
    }
    let all = ids(&events(1, 1..=1_000));
    assert_eq!(first_copies_until(&mut probe, &all[999]).await, all);
    until(async || fixture.store.relay_offset("events").await.unwrap() == Some(49)).await;
    assert!(
        fixture.depth("full").await < 200,
        "the queue did not refuse anything"
    );
    relay.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_over() {
    let mut fixture = Fixture::new().await;
    let mut probe = fixture.probe("probe").await;
    let relay = fixture.relay().await;
    fixture.write(&events(1, 1..=1)).await;
    fixture.write_body(b"not json".to_vec()).await;
    fixture
        .write_body(b"[{\"specversion\":\"1.0\"}]".to_vec())
        .await;
    fixture.write(&events(1, 2..=2)).await;
    assert_eq!(ids_of(&probe.take(2).await), ids(&events(1, 1..=2)));
    relay.stop().await;
}

#[tokio::test]
async fn a_lost_connection_costs_nothing_but_time() {
    let mut fixture = Fixture::new().await;
    let mut probe = fixture.probe("probe").await;
    let relay = fixture.relay().await;
    fixture.write(&events(1, 1..=1)).await;
    probe.take(1).await;
    fixture.cut_relay().await;
    fixture.write(&events(1, 2..=2)).await;
    let second = ids(&events(1, 2..=2)).remove(0);
    assert_eq!(
        first_copies_until(&mut probe, &second).await.last(),
        Some(&second)
    );
    relay.stop().await;
}

#[tokio::test]
async fn a_stream_that_begins_anew_is_copied_from_its_start() {
    let mut fixture = Fixture::new().await;
    let mut probe = fixture.probe("probe").await;
    for version in 1..=9 {
        fixture.write(&events(1, version..=version)).await;
    }
    let relay = fixture.relay().await;
    probe.take(9).await;
    until(async || fixture.store.relay_offset("events").await.unwrap() == Some(8)).await;
    relay.stop().await;

    fixture.delete_stream().await;
    fixture.declare_shared().await;
    for version in 1..=3 {
        fixture.write(&events(2, version..=version)).await;
    }
    let relay = fixture.relay().await;
    assert_eq!(ids_of(&probe.take(3).await), ids(&events(2, 1..=3)));
    until(async || fixture.store.relay_offset("events").await.unwrap() == Some(2)).await;
    relay.stop().await;
}
