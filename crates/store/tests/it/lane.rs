//! Lanes as control commands read and write them, and as people see them.

use orderly_domain::{CommandId, OrderId};
use orderly_protocol::{Timestamp, lane};
use orderly_store::{
    BatchTransaction, ControlRecord, Fence, LaneState, LaneWrite, Parked, ParkedReason, Pause,
    Releasing, Store, Writes,
};
use uuid::Uuid;

use crate::batch::{ORDER, begin, command, parked, worker};
use crate::database::Database;

fn state(reason: &str, at: Timestamp) -> LaneState {
    LaneState {
        reason: reason.to_owned(),
        detail: "why".to_owned(),
        parked_at: at,
        pause: None,
        releasing: None,
    }
}

fn pause(at: Timestamp, until: Option<Timestamp>) -> Pause {
    Pause {
        pause_id: command(90),
        by: "k1".to_owned(),
        reason: "a call".to_owned(),
        at,
        until,
    }
}

async fn write(store: &Store, fence: &Fence, writes: Writes) {
    let mut batch = begin(store, fence).await;
    batch.write(&writes).await.unwrap();
    batch.commit().await.unwrap();
}

/// A lane of `commands`, each with an envelope of `bytes`.
async fn park(store: &Store, fence: &Fence, commands: u8, bytes: usize) -> Timestamp {
    let mut batch = begin(store, fence).await;
    let at = batch.at;
    let reason = || ParkedReason {
        code: "unreadable_command",
        detail: "why".to_owned(),
    };
    let entry = |n: u8| Parked {
        envelope: vec![n; bytes],
        ..parked(u128::from(n), i64::from(n), (n == 1).then(reason), at)
    };
    let writes = Writes {
        parked: (1..=commands).map(entry).collect(),
        ..Writes::default()
    };
    batch.write(&writes).await.unwrap();
    batch.commit().await.unwrap();
    at
}

async fn positions(batch: &mut BatchTransaction, commands: usize, bytes: usize) -> Vec<i64> {
    let lane = batch.load_lane(ORDER, commands, bytes).await.unwrap();
    let entries = lane.unwrap().entries.into_iter();
    entries.map(|entry| entry.position).collect()
}

#[tokio::test]
async fn a_part_of_a_lane_is_bounded_by_commands_and_bytes_and_never_empty() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    park(&store, &fence, 5, 100).await;
    let mut batch = begin(&store, &fence).await;
    assert_eq!(positions(&mut batch, 256, 1_000).await, [1, 2, 3, 4, 5]);
    assert_eq!(positions(&mut batch, 2, 1_000).await, [1, 2]);
    assert_eq!(positions(&mut batch, 256, 399).await, [1, 2, 3]);
    assert_eq!(positions(&mut batch, 256, 1).await, [1]);
    let lane = batch.load_lane(ORDER, 1, 1).await.unwrap().unwrap();
    assert_eq!((lane.commands, lane.tail), (5, 5));
    assert!(
        batch
            .load_lane(OrderId(Uuid::nil()), 1, 1)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_release_is_remembered_between_its_parts() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let at = park(&store, &fence, 3, 10).await;
    let left = LaneState {
        pause: Some(pause(at, None)),
        releasing: Some(Releasing {
            by: command(80),
            discard_through: 2,
            decided: 1,
            discarded: 1,
        }),
        ..state(lane::RELEASING, at)
    };
    let replacement = parked(7, 2, None, at);
    let writes = Writes {
        lane: Some(LaneWrite {
            order_id: ORDER,
            removed: vec![1, 2],
            left: Some(left.clone()),
        }),
        parked: vec![replacement],
        ..Writes::default()
    };
    write(&store, &fence, writes).await;

    let mut batch = begin(&store, &fence).await;
    let found = batch.load_lane(ORDER, 256, 1_000).await.unwrap().unwrap();
    assert_eq!(found.state, left);
    let ids: Vec<CommandId> = found.entries.iter().map(|entry| entry.command_id).collect();
    assert_eq!(ids, [command(7), command(3)]);
    drop(batch);

    let shown = database.store.lane(ORDER).await.unwrap().unwrap();
    assert_eq!((shown.state, shown.commands), (left, 2));
    assert_eq!(shown.head.unwrap().command_id, command(7));
    let behind = database.store.lane_entries(ORDER, 2, 10).await.unwrap();
    assert_eq!(behind.len(), 1);
    assert_eq!(behind[0].command_id, command(3));
}

#[tokio::test]
async fn a_lane_that_ends_is_gone_and_what_was_done_is_on_record() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    park(&store, &fence, 2, 10).await;
    let record = ControlRecord {
        command_id: command(80),
        order_id: ORDER,
        by: "k1".to_owned(),
        reason: "the carrier is back".to_owned(),
        head: Some(command(1)),
        replacement: None,
        decided: 2,
        discarded: 0,
        waiting: 0,
    };
    let writes = Writes {
        lane: Some(LaneWrite {
            order_id: ORDER,
            removed: vec![1, 2],
            left: None,
        }),
        control: Some(record.clone()),
        ..Writes::default()
    };
    write(&store, &fence, writes).await;
    assert_eq!(database.store.lane(ORDER).await.unwrap(), None);
    assert_eq!(
        database.store.control(command(80)).await.unwrap(),
        Some(record)
    );
    assert_eq!(database.store.control(command(1)).await.unwrap(), None);
    assert_eq!(database.count("select count(*) from lane_entries").await, 0);
}

#[tokio::test]
async fn a_place_that_was_not_there_ends_the_batch() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    park(&store, &fence, 2, 10).await;
    let mut batch = begin(&store, &fence).await;
    let writes = Writes {
        lane: Some(LaneWrite {
            order_id: ORDER,
            removed: vec![2, 3],
            left: None,
        }),
        ..Writes::default()
    };
    batch.write(&writes).await.unwrap_err();
}

#[tokio::test]
async fn only_a_pause_whose_time_is_over_has_expired() {
    let database = Database::fresh().await;
    let (store, fence, _) = worker(&database).await;
    let later = Timestamp::now_utc() + std::time::Duration::from_hours(1);
    let past = Timestamp::now_utc() - std::time::Duration::from_hours(1);
    for (n, until) in [(1, None), (2, Some(later)), (3, Some(past))] {
        let left = LaneState {
            pause: Some(pause(past, until)),
            ..state(lane::PAUSED, past)
        };
        let writes = Writes {
            lane: Some(LaneWrite {
                order_id: OrderId(Uuid::from_u128(n)),
                removed: Vec::new(),
                left: Some(left),
            }),
            ..Writes::default()
        };
        write(&store, &fence, writes).await;
    }
    let expired = database.store.expired_pauses(10).await.unwrap();
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].order_id, OrderId(Uuid::from_u128(3)));
    assert_eq!(expired[0].pause_id, command(90));
    let page = database
        .store
        .lanes_from(OrderId(Uuid::from_u128(2)), 10)
        .await
        .unwrap();
    let orders: Vec<u128> = page.iter().map(|lane| lane.order_id.0.as_u128()).collect();
    assert_eq!(orders, [2, 3]);
}
