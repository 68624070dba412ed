//! What the relay keeps.

use std::time::Duration;

use orderly_store::{RelayLock, Store};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::database::{Database, LIMIT, eventually};

async fn lock(store: &Store) -> Option<RelayLock> {
    store
        .try_relay_lock("topic", &TaskTracker::new())
        .await
        .expect("the database answers")
}

#[tokio::test]
async fn the_offset_only_moves_forward() {
    let database = Database::fresh().await;
    let store = &database.store;
    assert_eq!(store.relay_offset("topic").await.unwrap(), None);
    assert!(store.save_relay_offset("topic", 0).await.unwrap());
    assert_eq!(store.relay_offset("topic").await.unwrap(), Some(0));
    assert!(store.save_relay_offset("topic", 7).await.unwrap());
    assert!(!store.save_relay_offset("topic", 6).await.unwrap());
    assert!(!store.save_relay_offset("topic", 7).await.unwrap());
    assert_eq!(store.relay_offset("topic").await.unwrap(), Some(7));
    assert_eq!(store.relay_offset("other").await.unwrap(), None);
}

#[tokio::test]
async fn one_relay_at_a_time_holds_the_lock() {
    let database = Database::fresh().await;
    let store = &database.store;
    let held = lock(store).await.expect("free");
    assert!(lock(store).await.is_none(), "held by another session");
    let other = store
        .try_relay_lock("other", &TaskTracker::new())
        .await
        .unwrap();
    assert!(other.is_some(), "another relay's lock is another lock");
    assert!(!held.lost().is_cancelled());
    drop(held);
    eventually("a dropped lock is free", async || {
        lock(store).await.is_some()
    })
    .await;
}

#[tokio::test]
async fn a_lock_whose_session_ended_is_known_to_be_lost() {
    let database = Database::fresh().await;
    let held = lock(&database.store).await.expect("free");
    database
        .run(
            "select pg_terminate_backend(pid) from pg_locks
             join pg_database on pg_database.oid = pg_locks.database
             where locktype = 'advisory' and datname = current_database()",
        )
        .await
        .unwrap();
    // The interval of the tests and one answer.
    timeout(Duration::from_secs(3), held.lost().cancelled())
        .await
        .expect("the loss is seen");
    assert!(lock(&database.store).await.is_some());
}

#[tokio::test]
async fn a_dropped_lock_ends_its_task() {
    let database = Database::fresh().await;
    let tracker = TaskTracker::new();
    let held = database
        .store
        .try_relay_lock("topic", &tracker)
        .await
        .unwrap();
    drop(held);
    tracker.close();
    timeout(LIMIT, tracker.wait())
        .await
        .expect("no task stays behind");
}
