//! The heart on a sunny day.

use orderly_domain::Version;
use orderly_protocol::Outcome;
use serde_json::json;

use crate::world::{World, annotate, envelope, order_on, place, until};

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_an_order_are_applied_in_queue_order_and_their_events_follow() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let mut commands = vec![place(order)];
    commands.extend((0..300).map(|n| annotate(order, &n.to_string())));
    for group in commands.chunks(7) {
        world.post(group).await;
    }
    world.applied(commands.last().unwrap()).await;
    let events = world.stream_until(|events| events.len() == 301).await;
    for (index, (event, command)) in events.iter().zip(&commands).enumerate() {
        assert_eq!(event.id, format!("{order}.{}", index + 1));
        assert_eq!(event.command_id, command.command_id);
    }
    let row = world.store.order(order).await.unwrap().unwrap();
    assert_eq!(row.version, Version(301));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_is_recorded_and_makes_no_event() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(0);
    let refused = envelope(order, "deliver", &json!({}));
    let (placed, late) = (place(order), envelope(order, "deliver", &json!({})));
    world
        .post(&[refused.clone(), placed.clone(), late.clone()])
        .await;
    let outcome = world.outcome(&late).await;
    assert_eq!(outcome.outcome, Outcome::Rejected);
    assert_eq!(outcome.rejection.unwrap().code, "illegal_transition");
    assert_eq!(outcome.version, Version(1));
    assert_eq!(
        world.outcome(&refused).await.rejection.unwrap().code,
        "order_not_found"
    );
    assert_eq!(world.sql("select count(*) from events").await, "1");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_command_appends_nothing() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(2);
    let placed = place(order);
    let noted = annotate(order, "once");
    world
        .post(&[placed.clone(), noted.clone(), noted.clone()])
        .await;
    world.post_one(&noted).await;
    let last = annotate(order, "last");
    world.post_one(&last).await;
    assert_eq!(world.outcome(&last).await.version, Version(3));
    worker.stop().await;
    assert_eq!(world.sql("select count(*) from events").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_a_used_id_is_a_conflict_and_never_applied() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(2);
    let (placed, noted) = (place(order), annotate(order, "first"));
    let mut reused = annotate(order, "second");
    reused.command_id = noted.command_id;
    let last = annotate(order, "last");
    // Once within one batch, once after the outcome is recorded.
    world.post(&[placed, noted.clone(), reused.clone()]).await;
    world.applied(&noted).await;
    world.post(&[reused.clone(), last.clone()]).await;
    assert_eq!(world.outcome(&last).await.version, Version(3));
    assert_eq!(world.outcome(&noted).await.fingerprint, noted.fingerprint);
    let recorded = "select encode(fingerprint, 'hex') from command_conflicts";
    assert_eq!(world.sql(recorded).await, reused.fingerprint.to_string());
    worker.stop().await;
    let epoch = world.sql("select epoch from shards where shard = 2").await;
    assert_eq!(epoch, "1", "a used id costs no subscription");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shards_that_sell_the_last_piece_never_oversell() {
    let world = World::new().await;
    world.stock("RARE", 5).await;
    let worker = world.worker("w1");
    let line = json!({"sku": "RARE", "quantity": 1, "unit_price_minor": 100});
    let data = json!({"customer_id": "c1", "currency": "EUR", "lines": [line]});
    let orders: Vec<_> = (0..40)
        .map(|n| envelope(order_on(n % 4), "place", &data))
        .collect();
    for order in &orders {
        world.post_one(order).await;
    }
    let mut applied = 0;
    for order in &orders {
        let outcome = world.outcome(order).await;
        match outcome.rejection {
            None => applied += 1,
            Some(rejection) => assert_eq!(rejection.code, "insufficient_stock"),
        }
    }
    assert_eq!(applied, 5);
    assert_eq!(
        world
            .sql("select on_hand || '/' || reserved from stock where sku = 'RARE'")
            .await,
        "5/5"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_orders_under_one_id_on_two_shards_have_one_effect() {
    let world = World::new().await;
    let first = place(order_on(0));
    let mut second = place(order_on(3));
    second.command_id = first.command_id;
    world.post_one(&first).await;
    world.post_one(&second).await;
    let worker = world.worker("w1");
    let after = [
        annotate(first.order_id, "x"),
        annotate(second.order_id, "x"),
    ];
    for command in &after {
        world.post_one(command).await;
        world.outcome(command).await;
    }
    assert_eq!(world.sql("select count(*) from orders").await, "1");
    assert_eq!(
        world.sql("select count(*) from command_conflicts").await,
        "1"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_the_wrong_shard_is_forwarded_and_applied_there() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let stray = place(order_on(3));
    let body = orderly_protocol::encode_commands([stray.encode().as_slice()]);
    world.post_raw(0, body).await;
    world.applied(&stray).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_queue_is_gone_stops_no_other_and_what_is_forwarded_to_it_waits() {
    let world = World::new().await;
    world.delete_queue("orders.g1.003").await;
    let worker = world.worker("w1");
    // Shard 0 cannot forward it, shard 3 cannot be served, and the others do not notice.
    let stray = place(order_on(3));
    let body = orderly_protocol::encode_commands([stray.encode().as_slice()]);
    world.post_raw(0, body).await;
    let order = order_on(1);
    world.post_one(&place(order)).await;
    for n in 0..40 {
        let noted = annotate(order, &n.to_string());
        world.post_one(&noted).await;
        world.applied(&noted).await;
    }
    until(|| async {
        let epoch = world.sql("select epoch from shards where shard = 0").await;
        (epoch.parse::<i64>().unwrap() > 2).then_some(())
    })
    .await;
    let epoch = world.sql("select epoch from shards where shard = 1").await;
    assert_eq!(epoch, "1", "shard 1 was left alone");
    world.declare_shards().await;
    world.applied(&stray).await;
    worker.stop().await;
}
