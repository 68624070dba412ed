//! What the role does when something is in its way.

use std::collections::BTreeSet;
use std::time::Duration;

use orderly_broker::Layout;
use orderly_payments::SandboxOptions;
use orderly_protocol::names::event_routing_key;
use uuid::Uuid;

use crate::support::{Fixture, payment_requested, until};

#[tokio::test]
async fn what_it_held_when_killed_is_done_by_the_next() {
    const ORDERS: u128 = 40;
    let mut fixture = Fixture::new().await;
    for order in 1..=ORDERS {
        fixture.publish(order, 2, &payment_requested(order)).await;
    }
    let options = SandboxOptions {
        delay: Duration::from_millis(400),
        ..Default::default()
    };
    let role = fixture.start(options.clone());
    // Some are through, most are in hand.
    let mut seen: BTreeSet<_> = fixture
        .commands(5)
        .await
        .into_iter()
        .map(|command| command.order_id)
        .collect();
    role.kill().await;

    let role = fixture.start(options);
    while seen.len() < 40 {
        seen.insert(fixture.command().await.order_id);
    }
    role.stop().await;
}

#[tokio::test]
async fn while_no_shard_takes_commands_nothing_is_lost() {
    let mut fixture = Fixture::new().await;
    fixture.layout.send_replace(None);
    fixture.publish(1, 2, &payment_requested(1)).await;
    let role = fixture.start(SandboxOptions::default());
    until(|| role.readiness.is_ready()).await;
    // It retries in place, and then gives the delivery back.
    until(|| !role.readiness.is_ready()).await;
    fixture.layout.send_replace(Some(Layout {
        generation: 1,
        shard_count: 1,
    }));
    assert_eq!(fixture.command().await.order_id.0, Uuid::from_u128(1));
    role.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_over() {
    let mut fixture = Fixture::new().await;
    let key = event_routing_key(
        "payment_requested",
        orderly_domain::OrderId(Uuid::from_u128(1)),
    );
    fixture.publish_body(&key, b"not json".to_vec()).await;
    fixture.publish(2, 2, &payment_requested(2)).await;
    let role = fixture.start(SandboxOptions::default());
    assert_eq!(fixture.command().await.order_id.0, Uuid::from_u128(2));
    role.stop().await;
}

#[tokio::test]
async fn a_queue_that_was_declared_otherwise_is_not_consumed() {
    let mut fixture = Fixture::new().await;
    fixture.break_queue().await;
    let role = fixture.start(SandboxOptions::default());
    let reason = || role.readiness.not_ready().pop().map(|(_, reason)| reason);
    until(|| reason().as_deref() == Some("queue declared otherwise")).await;
    assert_eq!(fixture.consumers().await, 0);
    // Once it is mended, the role goes on by itself.
    fixture.mend_queue().await;
    until(|| role.readiness.is_ready()).await;
    fixture.publish(1, 2, &payment_requested(1)).await;
    assert_eq!(fixture.command().await.order_id.0, Uuid::from_u128(1));
    role.stop().await;
}
