//! Reads of orders, events, commands and lanes.

use orderly_domain::{CommandId, OrderId, ProducerId, Version};
use orderly_protocol::{Fingerprint, Outcome};
use uuid::Uuid;

use crate::database::Database;

const ORDER: OrderId = OrderId(Uuid::from_u128(1));
const NOWHERE: OrderId = OrderId(Uuid::from_u128(2));

const ROWS: &str = r#"
    insert into orders values
        ('00000000-0000-0000-0000-000000000001', 3, 'paid', false, 'c1', 'EUR', 1000, 1000, 0, 0, '{"a": 1}',
         '2026-01-01T00:00:00Z', '2026-01-02T00:00:00.000001Z');
    insert into events (order_id, version, command_id, delivery_id, type, data, recorded_at, traceparent)
        select '00000000-0000-0000-0000-000000000001', version, '00000000-0000-0000-0000-0000000000c1',
               gen_random_uuid(), 'placed', jsonb_build_object('version', version), now(), 'tp'
        from generate_series(3, 1, -1) as version;
    insert into commands values
        ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-000000000001',
         '00000000-0000-0000-0000-0000000000aa', 'ship', decode(repeat('07', 32), 'hex'), 'rejected', 2,
         '{"code": "illegal_transition", "detail": "d", "errors": []}', now(), now());
    insert into lanes values ('00000000-0000-0000-0000-000000000001', 'unknown_type', 'no such command', now());
    insert into lane_entries values
        ('00000000-0000-0000-0000-000000000001', 1, '00000000-0000-0000-0000-0000000000c2',
         '00000000-0000-0000-0000-0000000000aa', 'fly', decode(repeat('08', 32), 'hex'), '', now(), now()),
        ('00000000-0000-0000-0000-000000000001', 2, '00000000-0000-0000-0000-0000000000c3',
         '00000000-0000-0000-0000-0000000000aa', 'pay', decode(repeat('09', 32), 'hex'), '', now(), now());
    insert into command_conflicts values
        ('00000000-0000-0000-0000-0000000000c1', sha256('x'), gen_random_uuid(), gen_random_uuid(), 'pay', now(), now());
    insert into dead_letters (body_hash, body, headers, reason, detail, generation, shard, received_at)
        values (sha256('x'), 'x', '{}', 'unreadable', 'd', 1, 0, now());
"#;

#[tokio::test]
async fn an_order_is_read_as_it_is() {
    let database = Database::fresh().await;
    database.run(ROWS).await.unwrap();
    let order = database.store.order(ORDER).await.unwrap().unwrap();
    assert_eq!(order.order_id, ORDER);
    assert_eq!(order.version, Version(3));
    assert_eq!(order.state, r#"{"a": 1}"#);
    assert_eq!(order.updated_at.microsecond(), 1);
    assert_eq!(database.store.order(NOWHERE).await.unwrap(), None);
}

#[tokio::test]
async fn events_come_in_version_order_after_the_given_one() {
    let database = Database::fresh().await;
    database.run(ROWS).await.unwrap();
    let versions = async |after, limit| {
        let events = database
            .store
            .events(ORDER, Version(after), limit)
            .await
            .unwrap();
        events
            .iter()
            .map(|event| event.version.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(versions(0, 10).await, [1, 2, 3]);
    assert_eq!(versions(1, 1).await, [2]);
    assert_eq!(versions(3, 10).await, [0; 0]);
    let event = database
        .store
        .events(ORDER, Version(2), 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(event.data.get(), r#"{"version": 3}"#);
    assert_eq!(event.event_type, "placed");
    assert_eq!(event.command_id, CommandId(Uuid::from_u128(0xc1)));
    assert_eq!(event.traceparent.as_deref(), Some("tp"));
    assert!(
        database
            .store
            .events(NOWHERE, Version::NONE, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_outcome_is_read_with_its_rejection() {
    let database = Database::fresh().await;
    database.run(ROWS).await.unwrap();
    let outcome = database
        .store
        .outcome(CommandId(Uuid::from_u128(0xc1)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome.outcome, Outcome::Rejected);
    assert_eq!(outcome.version, Version(2));
    assert_eq!(outcome.producer, ProducerId(Uuid::from_u128(0xaa)));
    assert_eq!(outcome.action_type, "ship");
    assert_eq!(outcome.fingerprint, Fingerprint([7; 32]));
    assert_eq!(outcome.rejection.unwrap().code, "illegal_transition");
    assert_eq!(
        database
            .store
            .outcome(CommandId(Uuid::from_u128(0xc2)))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_parked_command_is_found_in_its_lane() {
    let database = Database::fresh().await;
    database.run(ROWS).await.unwrap();
    let store = &database.store;
    let parked = store
        .parked(CommandId(Uuid::from_u128(0xc2)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(parked.order_id, ORDER);
    assert_eq!(parked.action_type, "fly");
    assert_eq!(parked.fingerprint, Fingerprint([8; 32]));
    assert_eq!(
        store
            .parked(CommandId(Uuid::from_u128(0xc1)))
            .await
            .unwrap(),
        None
    );

    let lane = store.lane(ORDER).await.unwrap().unwrap();
    assert_eq!(
        (lane.state.reason.as_str(), lane.commands),
        ("unknown_type", 2)
    );
    assert_eq!(store.lane(NOWHERE).await.unwrap(), None);
}

#[tokio::test]
async fn what_needs_attention_is_counted() {
    let database = Database::fresh().await;
    database.run(ROWS).await.unwrap();
    assert_eq!(database.store.parked_orders().await.unwrap(), 1);
    assert_eq!(database.store.dead_letters().await.unwrap(), 1);
    assert_eq!(database.store.command_conflicts().await.unwrap(), 1);
}

#[tokio::test]
async fn the_clock_moves_within_a_session() {
    let database = Database::fresh().await;
    let before = database.store.now().await.unwrap();
    assert!(database.store.now().await.unwrap() > before);
}
