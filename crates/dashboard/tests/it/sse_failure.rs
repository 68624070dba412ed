//! Live events when something is in their way.

use std::time::{Duration, Instant};

use crate::support::{Fixture, LIMIT, events, ids, until};

#[tokio::test]
async fn open_streams_do_not_hold_up_a_shutdown() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let mut first = dashboard.events("", None).await;
    let mut second = dashboard.events("?from=first", None).await;
    let started = Instant::now();
    dashboard.token.cancel();
    tokio::time::timeout(LIMIT, dashboard.server)
        .await
        .unwrap()
        .unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(first.block().await, None);
    assert_eq!(second.block().await, None);
}

#[tokio::test]
async fn clients_stay_through_a_lost_connection() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let mut client = dashboard.events("", None).await;
    fixture.write(&events(1, 1..=2)).await;
    client.ids(2).await;
    fixture.cut_hub().await;
    for version in 3..=20 {
        fixture.write(&events(1, version..=version)).await;
    }
    assert_eq!(client.ids(18).await, ids(&events(1, 3..=20)));
    until(async || dashboard.readiness.is_ready()).await;
}

#[tokio::test]
async fn past_retention_a_client_is_told_before_it_goes_on() {
    let mut fixture = Fixture::new().await;
    fixture.small_stream().await;
    let mut version = 0;
    while fixture.oldest_offset_after(&mut version).await < 20 {}
    let dashboard = fixture.start().await;
    let mut client = dashboard.events("", Some("3.0")).await;
    let reset = client.next().await;
    assert_eq!(
        (reset.event.as_str(), &reset.data["reason"]),
        ("reset", &"past_retention".into())
    );
    // The broker numbers records of its own too, so the version does not follow from the offset.
    let first = client.next().await.data["data"]["version"]
        .as_u64()
        .unwrap();
    let seen = client.id.clone();
    assert_eq!(seen, format!("{}.0", fixture.oldest_offset().await));
    let later = ids(&events(1, first + 1..=version));
    assert_eq!(client.ids(later.len()).await, later);

    let mut client = dashboard.events("", Some(&seen)).await;
    assert_eq!(
        client.ids(later.len()).await,
        later,
        "nothing is missing after what is kept"
    );
    let mut client = dashboard.events("?from=first", None).await;
    client.next().await;
    assert_eq!(
        client.ids(later.len()).await,
        later,
        "nothing was seen, so nothing is lost"
    );
}

impl Fixture {
    /// Writes some events, each a message, and says which is the oldest that is left.
    async fn oldest_offset_after(&mut self, version: &mut u64) -> u64 {
        for _ in 0..50 {
            *version += 1;
            self.write(&events(1, *version..=*version)).await;
        }
        self.oldest_offset().await
    }
}

#[tokio::test]
async fn a_place_that_never_was_is_reset_to_the_end() {
    let mut fixture = Fixture::new().await;
    fixture.write(&events(1, 1..=3)).await;
    let dashboard = fixture.start().await;
    for id in ["70.0", "0.3", "1.0"] {
        let mut client = dashboard.events("", Some(id)).await;
        let reset = client.next().await;
        assert_eq!(
            (reset.event.as_str(), &reset.data["reason"]),
            ("reset", &"unknown_position".into()),
            "{id}"
        );
    }
    let mut client = dashboard.events("", Some("70.0")).await;
    client.next().await;
    fixture.write(&events(1, 4..=4)).await;
    assert_eq!(client.ids(1).await, ids(&events(1, 4..=4)));
}

#[tokio::test]
async fn a_lost_stream_resets_the_clients() {
    let mut fixture = Fixture::new().await;
    for version in 1..=5 {
        fixture.write(&events(1, version..=version)).await;
    }
    let dashboard = fixture.start().await;
    let mut client = dashboard.events("", None).await;
    fixture.lose_stream().await;
    fixture.write(&events(2, 1..=1)).await;
    let reset = client.next().await;
    assert_eq!(
        (reset.event.as_str(), &reset.data["reason"]),
        ("reset", &"unknown_position".into())
    );
    fixture.write(&events(2, 2..=2)).await;
    assert_eq!(client.ids(1).await, ids(&events(2, 2..=2)));
}
