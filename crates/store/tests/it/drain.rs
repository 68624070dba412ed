//! Drains: who hears of them, and when there is nobody left to take over.

use orderly_store::{Actor, AuditFilter, AuditPlace, DrainRefusal, LiveWorker, WorkerLoad};

use crate::database::Database;

fn named(worker: &str) -> LiveWorker {
    LiveWorker {
        worker: worker.to_owned(),
        capacity: None,
        subscribed: Vec::new(),
        declined: Vec::new(),
        draining: false,
    }
}

/// Beats for each, and says who is drained by the answer to the last.
async fn draining(database: &Database, workers: &[&str]) -> Vec<String> {
    let mut alive = Vec::new();
    for worker in workers {
        let worker = named(worker);
        let beaten = database.store.heartbeat(&worker, WorkerLoad::default());
        alive = beaten.await.unwrap();
    }
    let drained = alive.into_iter().filter(|worker| worker.draining);
    drained.map(|worker| worker.worker).collect()
}

fn ada() -> Actor {
    Actor::local("ada").because(Some("an upgrade".to_owned()))
}

#[tokio::test]
async fn a_drain_is_heard_by_its_worker_and_by_the_others_until_it_is_taken_back() {
    let database = Database::fresh().await;
    let store = &database.store;
    assert!(draining(&database, &["a", "b"]).await.is_empty());
    let drain = store.drain("a", &ada()).await.unwrap().unwrap();
    assert_eq!((&*drain.drained_by, &*drain.reason), ("ada", "an upgrade"));
    assert_eq!(draining(&database, &["b", "a"]).await, ["a"]);
    assert_eq!(draining(&database, &["b"]).await, ["a"]);
    let rows = store.workers().await.unwrap();
    let told: Vec<_> = rows.into_iter().map(|row| row.drain).collect();
    assert_eq!(told, [Some(drain), None]);
    let workers = async || store.fleet_load().await.unwrap().workers;
    assert_eq!(workers().await, 1, "one that leaves is no help");

    assert!(store.resume_worker("a", &ada()).await.unwrap());
    assert_eq!(workers().await, 2);
    assert!(draining(&database, &["b", "a"]).await.is_empty());
    assert!(!store.resume_worker("a", &ada()).await.unwrap(), "once");
    let all = AuditFilter::default();
    let page = store.audit_page(&all, AuditPlace::After(0), 9).await;
    let told: Vec<_> = page
        .unwrap()
        .entries
        .into_iter()
        .map(|entry| {
            (
                entry.content.action,
                entry.content.target,
                entry.content.reason,
            )
        })
        .collect();
    let entry = |action: &str| (action.to_owned(), "worker/a".to_owned(), ada().reason);
    assert_eq!(told, [entry("worker.drain"), entry("worker.resume")]);
}

#[tokio::test]
async fn the_last_worker_that_stays_is_not_drained_nor_one_that_is_dead() {
    let database = Database::fresh().await;
    let store = &database.store;
    draining(&database, &["dead", "a"]).await;
    database
        .run("update workers set seen_at = seen_at - interval '6 s' where worker = 'dead'")
        .await
        .unwrap();
    let refusal = async |worker: &str| store.drain(worker, &ada()).await.unwrap().err();
    for gone in ["dead", "nobody", "\0"] {
        assert_eq!(refusal(gone).await, Some(DrainRefusal::NotAlive));
    }
    assert_eq!(refusal("a").await, Some(DrainRefusal::LastWorker));
    draining(&database, &["b"]).await;
    assert_eq!(refusal("a").await, None);
    assert_eq!(refusal("a").await, None, "again");
    assert_eq!(refusal("b").await, Some(DrainRefusal::LastWorker));
    assert_eq!(database.count("select count(*) from audit").await, 2);
}

#[tokio::test]
async fn of_two_who_drain_the_last_two_workers_one_is_refused() {
    let database = Database::fresh().await;
    let store = &database.store;
    for round in 0..20 {
        draining(&database, &["a", "b"]).await;
        let actor = ada();
        let (a, b) = tokio::join!(store.drain("a", &actor), store.drain("b", &actor));
        let done = [a.unwrap().is_ok(), b.unwrap().is_ok()];
        assert_ne!(done[0], done[1], "round {round}");
        database.run("delete from drains").await.unwrap();
    }
}

/// A worker that loses its broker leaves the list and comes back.
#[tokio::test]
async fn a_drain_outlives_the_place_on_the_list_and_is_forgotten_a_week_later() {
    let database = Database::fresh().await;
    let store = &database.store;
    draining(&database, &["a", "b"]).await;
    store.drain("a", &ada()).await.unwrap().unwrap();
    for _ in 0..2 {
        store.leave("a").await.unwrap();
    }
    assert_eq!(draining(&database, &["a"]).await, ["a"]);
    let drains = "select count(*) from drains";
    database
        .run("update drains set drained_at = drained_at - interval '8 days'")
        .await
        .unwrap();
    store.leave("b").await.unwrap();
    assert_eq!(database.count(drains).await, 1, "it is there");
    store.leave("a").await.unwrap();
    store.leave("b").await.unwrap();
    assert_eq!(database.count(drains).await, 0);
}
