//! Heartbeats: who is there, by the database's clock.

use orderly_store::{FleetLoad, LiveWorker, WorkerLoad};

use crate::database::Database;

fn named(worker: &str, subscribed: &[&str]) -> LiveWorker {
    LiveWorker {
        worker: worker.to_owned(),
        capacity: None,
        subscribed: subscribed.iter().map(ToString::to_string).collect(),
        declined: Vec::new(),
        draining: false,
    }
}

#[tokio::test]
async fn a_heartbeat_answers_with_all_that_are_alive() {
    let database = Database::fresh().await;
    let store = &database.store;
    let (one, two) = (named("a", &["g1.000"]), named("b", &[]));
    let beat = async |me: &LiveWorker| store.heartbeat(me, WorkerLoad::default()).await.unwrap();
    assert_eq!(beat(&one).await, std::slice::from_ref(&one));
    assert_eq!(beat(&two).await, [two.clone(), one.clone()], "itself first");
    let more = LiveWorker {
        capacity: Some(3),
        declined: vec!["g1.000".to_owned()],
        ..named("b", &["g1.001", "g1.002"])
    };
    beat(&more).await;
    assert_eq!(beat(&one).await, [one, more]);
}

#[tokio::test]
async fn a_worker_that_fell_silent_or_left_is_not_among_them() {
    let database = Database::fresh().await;
    let store = &database.store;
    for worker in ["silent", "leaving", "staying"] {
        store
            .heartbeat(&named(worker, &[]), WorkerLoad::default())
            .await
            .unwrap();
    }
    database
        .run("update workers set seen_at = seen_at - interval '6 s' where worker = 'silent'")
        .await
        .unwrap();
    store.leave("leaving").await.unwrap();
    let me = named("me", &[]);
    let alive = store.heartbeat(&me, WorkerLoad::default()).await.unwrap();
    assert_eq!(alive, [me, named("staying", &[])]);
    let kept = "select count(*) from workers where worker = 'silent'";
    assert_eq!(database.count(kept).await, 1, "who asks can still see it");
}

#[tokio::test]
async fn what_the_living_do_is_added_up() {
    let database = Database::fresh().await;
    let store = &database.store;
    let nothing = FleetLoad {
        workers: 0,
        messages_per_second: 0.0,
        busy: 0.0,
        orders_in_hand: 0,
        oldest_age_seconds: 0.0,
    };
    assert_eq!(store.fleet_load().await.unwrap(), nothing);
    let load = |factor: i32| WorkerLoad {
        messages_per_second: 100.0 * f64::from(factor),
        busy: 0.25 * f64::from(factor),
        orders_in_hand: 3 * factor,
        oldest_age_seconds: 1.5 * f64::from(factor),
    };
    for (worker, factor) in [("one", 3), ("one", 1), ("two", 2), ("silent", 4)] {
        let me = named(worker, &[]);
        store.heartbeat(&me, load(factor)).await.unwrap();
    }
    database
        .run("update workers set seen_at = seen_at - interval '6 s' where worker = 'silent'")
        .await
        .unwrap();
    // As a build that does not tell.
    database
        .run("insert into workers (worker, subscribed) values ('earlier', '{}')")
        .await
        .unwrap();
    let together = FleetLoad {
        workers: 3,
        messages_per_second: 300.0,
        busy: 0.75,
        orders_in_hand: 9,
        oldest_age_seconds: 3.0,
    };
    assert_eq!(store.fleet_load().await.unwrap(), together);
}
