//! Ownership: the epoch fences out whoever lost its shard, and a stopped owner cannot hold it for long.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use orderly_domain::Sku;
use orderly_protocol::ShardId;
use orderly_store::{Attempt, FaultClass, Fence, SessionProfile, Store};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::database::{Database, LIMIT, eventually};

const SHARD: ShardId = ShardId {
    generation: 1,
    shard: 0,
};

async fn worker(database: &Database) -> Store {
    database
        .store
        .create_first_generation(1, 32)
        .await
        .expect("the database answers");
    database.connect(SessionProfile::Worker).await
}

async fn claim(store: &Store, owner: &str, seen: i64) -> Fence {
    store
        .claim(SHARD, owner, seen)
        .await
        .expect("the database answers")
        .expect("nobody else claims")
}

#[tokio::test]
async fn of_eight_claims_with_one_epoch_one_succeeds() {
    let database = Database::fresh().await;
    let store = worker(&database).await;
    assert_eq!(store.epoch(SHARD).await.unwrap(), Some(0));
    let mut claims = JoinSet::new();
    for i in 0..8 {
        let store = store.clone();
        claims.spawn(async move { store.claim(SHARD, &format!("w{i}"), 0).await.unwrap() });
    }
    let won = claims.join_all().await.into_iter().flatten().count();
    assert_eq!(won, 1);
    // Nor does one that comes when the race is over with what it read before: luck has no part in this.
    assert_eq!(store.claim(SHARD, "late", 0).await.unwrap(), None);
    assert_eq!(store.epoch(SHARD).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_zombie_begins_no_batch() {
    let database = Database::fresh().await;
    let store = worker(&database).await;
    let zombie = claim(&store, "a", 0).await;
    assert!(store.begin_batch(&zombie).await.unwrap().is_some());
    let owner = claim(&store, "b", 1).await;
    assert!(store.begin_batch(&zombie).await.unwrap().is_none());
    assert!(store.begin_batch(&owner).await.unwrap().is_some());
    // A worker may be a zombie of itself: what it still holds of before it lost the shard.
    let again = claim(&store, "b", 2).await;
    assert!(store.begin_batch(&owner).await.unwrap().is_none());
    assert!(store.begin_batch(&again).await.unwrap().is_some());
    let somebody = Fence {
        owner: "a".to_owned(),
        ..again
    };
    assert!(store.begin_batch(&somebody).await.unwrap().is_none());
}

#[tokio::test]
async fn a_drained_shard_is_neither_claimed_nor_written() {
    let database = Database::fresh().await;
    let store = worker(&database).await;
    let owner = claim(&store, "a", 0).await;
    database
        .run("update shards set marked_at = now(), drained_at = now()")
        .await
        .unwrap();
    assert_eq!(store.epoch(SHARD).await.unwrap(), None);
    assert!(store.begin_batch(&owner).await.unwrap().is_none());
    assert_eq!(store.claim(SHARD, "b", 1).await.unwrap(), None);
}

#[tokio::test]
async fn a_generation_waits_until_those_before_it_are_drained() {
    let database = Database::fresh().await;
    let store = worker(&database).await;
    database
        .run("update generations set state = 'draining'")
        .await
        .unwrap();
    database
        .run("insert into generations (generation, shard_count, prefetch, state) values (2, 1, 32, 'current')")
        .await
        .unwrap();
    database
        .run("insert into shards (generation, shard) values (2, 0)")
        .await
        .unwrap();
    let next = ShardId {
        generation: 2,
        shard: 0,
    };
    assert_eq!(store.claim(next, "a", 0).await.unwrap(), None);
    database
        .run("update shards set marked_at = now(), drained_at = now() where generation = 1")
        .await
        .unwrap();
    assert!(store.claim(next, "a", 0).await.unwrap().is_some());
}

#[tokio::test]
async fn a_claim_waits_for_the_batch_in_flight() {
    let database = Database::fresh().await;
    let store = worker(&database).await;
    let first = claim(&store, "a", 0).await;
    let batch = store.begin_batch(&first).await.unwrap().unwrap();
    let taking = store.claim(SHARD, "b", 1);
    tokio::pin!(taking);
    let early = timeout(Duration::from_millis(200), &mut taking).await;
    assert!(early.is_err(), "taken while a batch could still commit");
    batch.commit().await.unwrap();
    let taken = timeout(LIMIT, taking).await.unwrap().unwrap();
    assert_eq!(taken.map(|fence| fence.epoch), Some(2));
}

#[tokio::test]
async fn a_stopped_owner_loses_its_shard() {
    let database = Database::fresh().await;
    let store = worker(&database).await;
    let stopped = claim(&store, "a", 0).await;
    // A process that was stopped in the middle of a batch: it holds its locks and says nothing.
    let batch = store.begin_batch(&stopped).await.unwrap().unwrap();
    let standby = database.connect(SessionProfile::Worker).await;
    let taken = timeout(LIMIT, async {
        loop {
            match standby.claim(SHARD, "b", 1).await {
                Ok(fence) => return fence,
                // Every claim gives up after its lock timeout, until Postgres has ended the idle transaction.
                Err(fault) => assert!(fault.is_transient(), "{fault:?}"),
            }
        }
    });
    assert!(taken.await.expect("the lock was let go").is_some());
    let late = batch.commit().await.expect_err("the stopped batch is gone");
    assert_eq!(late.class(), FaultClass::Systemic, "{late:?}");
}

/// No timeout of a statement ends a session that is sending what nobody reads.
#[tokio::test]
async fn an_owner_stopped_amid_a_large_answer_loses_its_locks() {
    let database = Database::fresh().await;
    let store = worker(&database).await;
    let owner = claim(&store, "a", 0).await;
    database
        .run("insert into stock values ('MUG', 10, 0, now())")
        .await
        .unwrap();
    let mut stopped = database.raw.begin().await.unwrap();
    let hold = "select 1 from shards for share";
    sqlx::query(hold).fetch_one(&mut *stopped).await.unwrap();
    let hold = "select 1 from stock for update";
    sqlx::query(hold).fetch_one(&mut *stopped).await.unwrap();
    let large = "select repeat('x', 1000) from generate_series(1, 100000)";
    let mut answer = pin!(sqlx::raw_sql(large).fetch_all(&mut *stopped));
    // Asked, and never read.
    poll_fn(|context| Poll::Ready(answer.as_mut().poll(context).is_ready())).await;
    let unread = "select count(*) from pg_stat_activity where wait_event = 'ClientWrite' and datname = current_database()";
    eventually("the answer fills every buffer", async || {
        database.count(unread).await == 1
    })
    .await;

    let sku = Sku::new("MUG").unwrap();
    let mut batch = store.begin_batch(&owner).await.unwrap().unwrap();
    // Twice at most: the first wait may be too short to tell a stopped session from a slow one.
    if let Err(fault) = batch.lock_stock(std::slice::from_ref(&sku)).await {
        assert!(fault.is_transient(), "{fault:?}");
        batch = store.begin_batch(&owner).await.unwrap().unwrap();
        batch.lock_stock(&[sku]).await.unwrap();
    }
    batch.commit().await.unwrap();
    assert!(store.claim(SHARD, "b", 1).await.unwrap().is_some());
}

#[tokio::test]
async fn attempts_left_open_count_once_for_each_other_owner() {
    let database = Database::fresh().await;
    let store = database.connect(SessionProfile::Worker).await;
    let hash = [3; 32];
    let deaths = |owner: &'static str| {
        let store = store.clone();
        async move { store.deaths_during_attempts(&hash, owner).await.unwrap() }
    };
    let first = Attempt::new();
    store.begin_attempt(first, &hash, "a").await.unwrap();
    let second = Attempt::new();
    store.begin_attempt(second, &hash, "a").await.unwrap();
    let elsewhere = [4; 32];
    store
        .begin_attempt(Attempt::new(), &elsewhere, "b")
        .await
        .unwrap();
    assert_eq!(deaths("a").await, 0, "the living do not count");
    assert_eq!(deaths("b").await, 1, "one death, however many it left");
    store.end_attempt(first).await.unwrap();
    assert_eq!(deaths("b").await, 1);
    store.end_attempt(second).await.unwrap();
    assert_eq!(deaths("b").await, 0, "ended ones do not count");
}
