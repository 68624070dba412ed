//! Heartbeats: who is there, by the database's clock.

use orderly_store::LiveWorker;

use crate::database::Database;

fn named(worker: &str, subscribed: &[&str]) -> LiveWorker {
    LiveWorker {
        worker: worker.to_owned(),
        capacity: None,
        subscribed: subscribed.iter().map(ToString::to_string).collect(),
        declined: Vec::new(),
    }
}

#[tokio::test]
async fn a_heartbeat_answers_with_the_others_that_are_alive() {
    let database = Database::fresh().await;
    let store = &database.store;
    let (one, two) = (named("a", &["g1.000"]), named("b", &[]));
    assert_eq!(store.heartbeat(&one).await.unwrap(), []);
    assert_eq!(
        store.heartbeat(&two).await.unwrap(),
        std::slice::from_ref(&one)
    );
    let more = LiveWorker {
        capacity: Some(3),
        declined: vec!["g1.000".to_owned()],
        ..named("b", &["g1.001", "g1.002"])
    };
    store.heartbeat(&more).await.unwrap();
    assert_eq!(store.heartbeat(&one).await.unwrap(), [more]);
}

#[tokio::test]
async fn a_worker_that_fell_silent_or_left_is_not_among_them() {
    let database = Database::fresh().await;
    let store = &database.store;
    for worker in ["silent", "leaving", "staying"] {
        store.heartbeat(&named(worker, &[])).await.unwrap();
    }
    database
        .run("update workers set seen_at = seen_at - interval '6 s' where worker = 'silent'")
        .await
        .unwrap();
    store.leave("leaving").await.unwrap();
    let others = store.heartbeat(&named("me", &[])).await.unwrap();
    assert_eq!(others, [named("staying", &[])]);
    let kept = "select count(*) from workers where worker = 'silent'";
    assert_eq!(database.count(kept).await, 1, "who asks can still see it");
}
