//! What cannot be decided waits in its order's lane; the shard flows on.

use orderly_broker::Message;
use orderly_domain::Version;
use orderly_protocol::{Outcome, encode_commands};
use serde_json::json;

use crate::world::{World, annotate, envelope, order_on, place, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_command_parks_its_order_and_no_other() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let (parked, flowing) = (order_on(1), order_on(1));
    let unknown = envelope(parked, "teleport", &json!({"to": "moon"}));
    let behind = annotate(parked, "behind");
    let last = annotate(flowing, "last");
    world
        .post(&[
            place(parked),
            place(flowing),
            unknown.clone(),
            behind.clone(),
            last.clone(),
        ])
        .await;
    world.applied(&last).await;
    // Sent again, also as a message of its own: still parked once.
    world.post_one(&unknown).await;
    let last = annotate(flowing, "second");
    world
        .post(&[behind.clone(), annotate(parked, "third"), last.clone()])
        .await;
    world.applied(&last).await;

    let lane = world
        .sql("select string_agg(type, ',' order by position) from lane_entries")
        .await;
    assert_eq!(lane, "teleport,annotate,annotate");
    let head = world
        .store
        .parked(unknown.command_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(head.command_id, unknown.command_id);
    assert!(
        world
            .store
            .outcome(behind.command_id)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        world.sql("select reason from lanes").await,
        "unreadable_command"
    );
    assert_eq!(
        world.store.order(parked).await.unwrap().unwrap().version,
        Version(1)
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_state_cannot_be_read_is_parked() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(0);
    let placed = place(order);
    world.post_one(&placed).await;
    world.applied(&placed).await;
    world
        .sql("update orders set state = '{\"schema\": 99}'")
        .await;
    let (late, other) = (annotate(order, "late"), place(order_on(0)));
    world.post(&[late.clone(), other.clone()]).await;
    world.applied(&other).await;
    assert_eq!(
        world.sql("select reason from lanes").await,
        "unreadable_state"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_cannot_be_read_is_kept_in_its_place_or_as_a_dead_letter() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(2);
    let (placed, other) = (place(order), place(order_on(2)));
    let broken = format!(r#"{{"order_id":"{order}","type":7}}"#);
    let behind = annotate(order, "behind");
    let body = encode_commands([
        placed.encode().as_slice(),
        br#"{"hello":"world"}"#,
        broken.as_bytes(),
        behind.encode().as_slice(),
        other.encode().as_slice(),
    ]);
    world.post_raw(2, body.clone()).await;
    world.applied(&other).await;
    world.post_raw(2, body).await;
    world.post_raw(2, b"no json at all".to_vec()).await;
    let last = annotate(other.order_id, "last");
    world.post_one(&last).await;
    world.applied(&last).await;

    let lane = world
        .sql("select string_agg(type, ',' order by position) from lane_entries")
        .await;
    assert_eq!(lane, "unreadable,annotate");
    let letters = "select string_agg(convert_from(body, 'UTF8'), ' | ' order by dead_letter_id) from dead_letters";
    assert_eq!(
        world.sql(letters).await,
        r#"{"hello":"world"} | no json at all"#
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_an_unknown_schema_stops_its_shard_and_loses_nothing() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let (before, behind, elsewhere) = (place(order_on(1)), place(order_on(1)), place(order_on(2)));
    world.post_one(&before).await;
    let mut future = Message::commands(b"{}".to_vec());
    future.schema = Some("order-commands.v9");
    world.post_message(1, &future).await;
    world.post_one(&behind).await;
    world.post_one(&elsewhere).await;
    world.applied(&before).await;
    world.applied(&elsewhere).await;
    assert!(
        world
            .store
            .outcome(behind.command_id)
            .await
            .unwrap()
            .is_none()
    );
    // Others may know the schema: they rank for the shard, and this worker does not.
    until(|| async {
        let told = "select declined || subscribed from workers";
        (world.sql(told).await == "{g1.001,g1.000,g1.002,g1.003}").then_some(())
    })
    .await;
    worker.stop().await;
    let ready = [
        "--quiet",
        "--vhost",
        world.env.vhost(),
        "list_queues",
        "name",
        "messages",
    ];
    until(|| async {
        let queues = world.env.rabbitmqctl(&ready).await.unwrap();
        queues
            .lines()
            .any(|line| line == "orders.g1.001\t2")
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_accepted_longer_ago_than_outcomes_are_kept_is_parked() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let mut old = place(order_on(1));
    old.accepted_at -= std::time::Duration::from_hours(29 * 24 + 1);
    let last = place(order_on(1));
    world.post(&[old, last.clone()]).await;
    world.applied(&last).await;
    assert_eq!(
        world.sql("select reason from lanes").await,
        "accepted_too_long_ago"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_may_give_way_parks_nothing_but_joins_a_lane_that_is_there() {
    let world = World::new().await;
    let worker = world.worker_that_skips("teleport", "w1");
    let order = order_on(1);
    let teleport = || envelope(order, "teleport", &json!({"to": "moon"}));
    let (skipped, parked) = (teleport(), teleport());
    let (noted, levitated) = (
        annotate(order, "a"),
        envelope(order, "levitate", &json!({})),
    );
    let message = [
        place(order),
        skipped.clone(),
        noted.clone(),
        levitated,
        parked.clone(),
    ];
    world.post(&message).await;
    world.applied(&noted).await;
    let outcome = world.outcome(&skipped).await;
    assert_eq!(outcome.outcome, Outcome::Discarded);
    assert_eq!(outcome.rejection.unwrap().code, "unreadable_command");
    let lane = "select string_agg(type, ',' order by position) from lane_entries";
    assert_eq!(world.sql(lane).await, "levitate,teleport");
    worker.stop().await;
}
