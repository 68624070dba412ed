//! Live events: what comes, in which order, and from where a client resumes.

use orderly_protocol::api_key::Scope;
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use crate::support::{Fixture, answer, events, ids, insert_key};

#[tokio::test]
async fn a_client_sees_what_happens_from_now_on() {
    let mut fixture = Fixture::new().await;
    fixture.write(&events(1, 1..=3)).await;
    let dashboard = fixture.start().await;
    let mut client = dashboard.events("", None).await;
    fixture.write(&events(1, 4..=5)).await;
    let first = client.next().await;
    assert_eq!(first.event, "order.annotated.v1");
    assert_eq!(first.data["data"]["version"], 4);
    assert_eq!(client.id, "1.0");
    assert_eq!(client.next().await.id(), ids(&events(1, 5..=5))[0]);
    assert_eq!(client.id, "1.1");
}

#[tokio::test]
async fn on_an_empty_stream_nothing_is_missed() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let mut client = dashboard.events("", None).await;
    fixture.write(&events(1, 1..=3)).await;
    assert_eq!(client.ids(3).await, ids(&events(1, 1..=3)));
}

#[tokio::test]
async fn a_client_resumes_from_the_ring() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let mut client = dashboard.events("", None).await;
    fixture.write(&events(1, 1..=5)).await;
    client.ids(2).await;
    let last = client.id.clone();
    drop(client);
    fixture.write(&events(1, 6..=9)).await;
    let mut client = dashboard.events("", Some(&last)).await;
    assert_eq!(client.ids(7).await, ids(&events(1, 3..=9)));
    let mut client = dashboard
        .events(&format!("?last_event_id={last}"), None)
        .await;
    assert_eq!(client.ids(7).await, ids(&events(1, 3..=9)));
}

#[tokio::test]
async fn a_client_resumes_from_the_stream_what_this_process_never_read() {
    let mut fixture = Fixture::new().await;
    for message in 0..100 {
        fixture
            .write(&events(1, message * 3 + 1..=message * 3 + 3))
            .await;
    }
    let dashboard = fixture.start().await;
    // In the middle of the message of offset 7.
    let mut client = dashboard.events("", Some("7.1")).await;
    assert_eq!(client.ids(276).await, ids(&events(1, 24..=299)));
    fixture.write(&events(1, 301..=303)).await;
    assert_eq!(client.ids(4).await, ids(&events(1, 300..=303)));
}

#[tokio::test]
async fn from_first_is_everything_that_the_stream_has() {
    let mut fixture = Fixture::new().await;
    for version in 1..=50 {
        fixture.write(&events(1, version..=version)).await;
    }
    let dashboard = fixture.start().await;
    let mut client = dashboard.events("?from=first", None).await;
    assert_eq!(client.ids(50).await, ids(&events(1, 1..=50)));
}

#[tokio::test]
async fn from_recent_begins_with_the_last_events_in_memory() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let mut before = dashboard.events("?from=recent", None).await;
    fixture.write(&events(1, 1..=250)).await;
    assert_eq!(before.ids(250).await, ids(&events(1, 1..=250)));
    let mut after = dashboard.events("?from=recent", None).await;
    assert_eq!(after.ids(200).await, ids(&events(1, 51..=250)));
    fixture.write(&events(1, 251..=251)).await;
    assert_eq!(after.ids(1).await, ids(&events(1, 251..=251)));
    // A place of one's own wins.
    let mut resumed = dashboard.events("?from=recent", Some(&before.id)).await;
    assert_eq!(resumed.ids(1).await, ids(&events(1, 251..=251)));
}

#[tokio::test]
async fn a_filter_lets_pass_what_was_asked_for() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut orders = dashboard
        .events(&format!("?order_id={one}&order_id={two}"), None)
        .await;
    let mut types = dashboard.events("?type=order.placed.v1", None).await;
    let mut both = dashboard
        .events(&format!("?type=order.placed.v1&order_id={two}"), None)
        .await;
    for order in 1..=3 {
        fixture.write(&events(order, 1..=2)).await;
    }
    let of = |order, versions| ids(&events(order, versions));
    assert_eq!(orders.ids(4).await, [of(1, 1..=2), of(2, 1..=2)].concat());
    assert_eq!(
        types.ids(3).await,
        [of(1, 1..=1), of(2, 1..=1), of(3, 1..=1)].concat()
    );
    assert_eq!(both.ids(1).await, of(2, 1..=1));
}

#[tokio::test]
async fn a_quiet_stream_is_kept_open_and_its_place_moves_on() {
    let mut fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let nobody = format!("?order_id={}", Uuid::from_u128(99));
    let mut client = dashboard.events(&nobody, None).await;
    fixture.write(&events(1, 1..=3)).await;
    let block = client.block().await.unwrap();
    assert!(block.starts_with(": heartbeat"), "{block}");
    assert_eq!(client.id, "0.2");
}

#[tokio::test]
async fn a_stream_without_the_right_to_it_or_with_a_false_id_is_refused() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let get = |path: &str| dashboard.request(Method::GET, path);
    let (status, problem) = answer(get("/v1/events").header("Last-Event-ID", "yesterday")).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::BAD_REQUEST, &"invalid_parameter".into())
    );
    for path in [
        "/v1/events?order_id=7",
        "/v1/events?from=1.0",
        "/v1/events?orderid=7",
    ] {
        assert_eq!(answer(get(path)).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    let (status, _) = answer(dashboard.request_without_key(Method::GET, "/v1/events")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let reader = insert_key(&fixture.store, &[Scope::OrdersRead]).await;
    let (status, _) = answer(
        dashboard
            .request_without_key(Method::GET, "/v1/events")
            .bearer_auth(reader),
    )
    .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
