//! The layout of the shards and how it is followed.

use std::time::Duration;

use orderly_store::{GenerationWatch, Layout};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::database::{Database, LIMIT, eventually};

const FIRST: Layout = Layout {
    generation: 1,
    shard_count: 16,
    prefetch: 32,
};

const FLIP: &str = "
    begin;
    update generations set state = 'draining' where generation = 1;
    insert into generations (generation, shard_count, prefetch, state) values (2, 24, 32, 'current');
    commit";

/// Follows, and has loaded once and listens.
async fn following(database: &Database) -> (GenerationWatch, DropGuard) {
    let token = CancellationToken::new();
    let watch = database.store.watch_generation(&TaskTracker::new(), &token);
    // The first load, and the one after the subscription.
    let mut current = watch.current.clone();
    timeout(LIMIT, current.wait_for(|load| load.loads >= 2))
        .await
        .expect("it loads twice")
        .expect("it goes on");
    (watch, token.drop_guard())
}

#[tokio::test]
async fn without_a_generation_there_is_no_layout() {
    let database = Database::fresh().await;
    assert_eq!(database.store.current_layout().await.unwrap(), None);
}

#[tokio::test]
async fn eight_processes_create_one_first_generation() {
    let database = Database::fresh().await;
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let store = database.store.clone();
        calls.spawn(async move { store.create_first_generation(16, 32).await });
    }
    for layout in calls.join_all().await {
        assert_eq!(layout.unwrap(), FIRST);
    }
    assert_eq!(database.count("select count(*) from shards").await, 16);
    assert_eq!(database.store.current_layout().await.unwrap(), Some(FIRST));
    // Other counts change nothing once there is a generation.
    assert_eq!(
        database.store.create_first_generation(4, 1).await.unwrap(),
        FIRST
    );
}

#[tokio::test]
async fn refused_counts_leave_no_generation_behind() {
    let database = Database::fresh().await;
    let fault = database
        .store
        .create_first_generation(1000, 32)
        .await
        .unwrap_err();
    assert_eq!(fault.constraint(), Some("generations_shard_count"));
    assert_eq!(database.store.current_layout().await.unwrap(), None);
}

#[tokio::test]
async fn a_flip_is_seen_within_a_second() {
    let database = Database::fresh().await;
    database
        .store
        .create_first_generation(16, 32)
        .await
        .unwrap();
    let (mut watch, _following) = following(&database).await;
    assert_eq!(watch.current.borrow().layout, Some(FIRST));
    database.run(FLIP).await.unwrap();
    let flipped = watch.current.wait_for(|load| load.layout != Some(FIRST));
    let flipped = timeout(Duration::from_secs(1), flipped)
        .await
        .expect("it was announced")
        .unwrap();
    assert_eq!(flipped.layout.map(|layout| layout.generation), Some(2));
}

#[tokio::test]
async fn a_reload_request_loads_without_an_announcement() {
    let database = Database::fresh().await;
    database
        .store
        .create_first_generation(16, 32)
        .await
        .unwrap();
    database
        .run("drop trigger generations_notify on generations")
        .await
        .unwrap();
    let (mut watch, _following) = following(&database).await;
    database.run(FLIP).await.unwrap();
    watch.reload.notify_one();
    let flipped = watch.current.wait_for(|load| load.layout != Some(FIRST));
    timeout(Duration::from_secs(1), flipped)
        .await
        .expect("it was loaded on request")
        .unwrap();
}

#[tokio::test]
async fn a_listener_whose_session_was_killed_listens_again() {
    let database = Database::fresh().await;
    database
        .store
        .create_first_generation(16, 32)
        .await
        .unwrap();
    let (mut watch, _following) = following(&database).await;
    let listening = "select count(*) from pg_stat_activity
                     where datname = current_database() and query like 'LISTEN%'";
    assert_eq!(database.count(listening).await, 1);
    database
        .run(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and query like 'LISTEN%'",
        )
        .await
        .unwrap();
    eventually("the killed session is gone", async || {
        database.count(listening).await == 0
    })
    .await;
    eventually("it listens again", async || {
        database.count(listening).await == 1
    })
    .await;
    database.run(FLIP).await.unwrap();
    let flipped = watch.current.wait_for(|load| load.layout != Some(FIRST));
    timeout(Duration::from_secs(2), flipped)
        .await
        .expect("it was announced")
        .unwrap();
}
