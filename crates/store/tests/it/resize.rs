//! Resizes and pauses: each step is taken once, and in its turn.

use std::time::Duration;

use orderly_protocol::ShardId;
use orderly_store::{Actor, Resize, ResizeRefusal, ResizeStep, SessionProfile, Store};
use sqlx::{Postgres, Transaction};
use tokio::task::JoinSet;

use crate::database::Database;

fn me() -> Actor {
    Actor::local("me").because(Some("a test".to_owned()))
}

async fn with_shards(database: &Database, shards: i32) -> Store {
    let store = database.connect(SessionProfile::Worker).await;
    store.create_first_generation(shards, 32).await.unwrap();
    store
}

async fn request(store: &Store, shards: i32) -> Resize {
    let asked = store.request_resize(shards, &me()).await;
    asked.unwrap().unwrap()
}

async fn open(store: &Store) -> Resize {
    store.open_resize().await.unwrap().unwrap()
}

async fn advance(store: &Store, to: ResizeStep) -> bool {
    let resize = open(store).await;
    store.advance_resize(&resize, to, "w1").await.unwrap()
}

/// Marks or drains every shard of the first generation, as its owner does with the markers.
async fn record(store: &Store, shards: i32, drain: bool) {
    for shard in 0..shards {
        let shard = ShardId {
            generation: 1,
            shard,
        };
        let seen = store.epoch(shard).await.unwrap().unwrap();
        let fence = store.claim(shard, "w1", seen).await.unwrap().unwrap();
        let mut transaction = store.begin_batch(&fence).await.unwrap().unwrap();
        if drain {
            transaction.drain(shard).await.unwrap();
        } else {
            transaction.mark(shard).await.unwrap();
        }
        transaction.commit().await.unwrap();
        let gone = store.begin_batch(&fence).await.unwrap().is_none();
        assert_eq!(gone, drain, "a drained shard is written no more");
    }
}

#[tokio::test]
async fn each_step_is_taken_once_and_only_from_the_one_before() {
    let database = Database::fresh().await;
    let store = with_shards(&database, 2).await;
    let new = ShardId {
        generation: 2,
        shard: 2,
    };
    request(&store, 3).await;
    let stale = open(&store).await;
    assert!(advance(&store, ResizeStep::Declaring).await);
    assert!(
        !store
            .advance_resize(&stale, ResizeStep::Declaring, "w2")
            .await
            .unwrap()
    );
    assert!(
        store.claim(new, "w1", 0).await.unwrap().is_none(),
        "prepared"
    );
    assert!(advance(&store, ResizeStep::Settling).await);

    let settling = open(&store).await;
    let hour = Duration::from_hours(1);
    assert!(!store.begin_unbinding(&settling, hour, "w1").await.unwrap());
    let now = Duration::ZERO;
    assert!(store.begin_unbinding(&settling, now, "w1").await.unwrap());
    assert!(!store.begin_unbinding(&settling, now, "w2").await.unwrap());
    assert!(
        store.abort_resize(&me()).await.unwrap().is_none(),
        "no way back"
    );

    let unbinding = open(&store).await;
    assert!(store.flip_generation(&unbinding, "w1").await.unwrap());
    assert!(!store.flip_generation(&unbinding, "w2").await.unwrap());
    assert_eq!(store.current_layout().await.unwrap().unwrap().generation, 2);
    assert!(advance(&store, ResizeStep::Marking).await);
    assert!(
        !advance(&store, ResizeStep::Draining).await,
        "nothing is marked"
    );
    record(&store, 2, false).await;
    assert!(advance(&store, ResizeStep::Draining).await);
    let draining = open(&store).await;
    assert_eq!((draining.marked, draining.drained), (2, 0));
    assert!(
        !store.finish_resize(&draining, "w1").await.unwrap(),
        "nothing is drained"
    );
    assert!(
        store.claim(new, "w1", 0).await.unwrap().is_none(),
        "it must wait"
    );
    record(&store, 2, true).await;
    assert!(store.claim(new, "w1", 0).await.unwrap().is_some());
    assert!(store.finish_resize(&draining, "w1").await.unwrap());
    assert!(!store.finish_resize(&draining, "w2").await.unwrap());
    assert!(store.open_resize().await.unwrap().is_none());
    // A coordinator that was frozen all the while changes nothing, of this resize or the next.
    request(&store, 1).await;
    assert!(!store.flip_generation(&unbinding, "w1").await.unwrap());
    assert!(!store.finish_resize(&draining, "w1").await.unwrap());
    assert_eq!(open(&store).await.step, ResizeStep::Requested);
}

#[tokio::test]
async fn of_eight_who_ask_at_once_one_is_the_first() {
    let database = Database::fresh().await;
    let store = with_shards(&database, 2).await;
    let mut asking = JoinSet::new();
    for count in 3..11 {
        let store = store.clone();
        asking.spawn(async move { store.request_resize(count, &me()).await.unwrap() });
    }
    let answers = asking.join_all().await;
    let begun = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(begun, 1);
    let refused = answers.into_iter().filter_map(Result::err);
    assert!(
        refused
            .into_iter()
            .all(|it| matches!(it, ResizeRefusal::UnderWay(_)))
    );
    assert_eq!(database.count("select count(*) from generations").await, 2);
}

#[tokio::test]
async fn a_number_that_was_aborted_is_never_used_again() {
    let database = Database::fresh().await;
    let store = with_shards(&database, 2).await;
    let first = request(&store, 3).await;
    let aborted = store.abort_resize(&me()).await.unwrap().unwrap();
    assert_eq!((aborted.id, aborted.step), (first.id, ResizeStep::Aborted));
    assert!(
        !store
            .advance_resize(&first, ResizeStep::Declaring, "w1")
            .await
            .unwrap()
    );
    assert_eq!(request(&store, 3).await.to_generation, 3);
    let same = store.request_resize(2, &me()).await.unwrap();
    assert!(matches!(same, Err(ResizeRefusal::UnderWay(_))));
    store.abort_resize(&me()).await.unwrap().unwrap();
    let same = store.request_resize(2, &me()).await.unwrap();
    assert!(matches!(same, Err(ResizeRefusal::SameCount)));
}

#[tokio::test]
async fn a_pause_and_a_resize_keep_out_of_each_others_way() {
    let database = Database::fresh().await;
    let store = with_shards(&database, 2).await;
    let shard = ShardId {
        generation: 1,
        shard: 1,
    };
    let who = me();
    let paused = |of| store.pause(of, &who, None);
    assert!(paused(Some(shard)).await.unwrap().is_some());
    let served = store.served_generations().await.unwrap();
    assert_eq!(served[0].paused, [1]);
    let refused = store.request_resize(3, &me()).await.unwrap();
    assert!(matches!(refused, Err(ResizeRefusal::Paused)));
    assert!(store.resume(Some(shard), &me()).await.unwrap());
    assert!(!store.resume(Some(shard), &me()).await.unwrap());

    request(&store, 3).await;
    advance(&store, ResizeStep::Declaring).await;
    advance(&store, ResizeStep::Settling).await;
    // Before the point of no return a pause is taken, and holds the resize up.
    assert!(paused(None).await.unwrap().is_some());
    let served = store.served_generations().await.unwrap();
    assert_eq!(served[0].paused, [0, 1]);
    let settling = open(&store).await;
    let now = Duration::ZERO;
    assert!(!store.begin_unbinding(&settling, now, "w1").await.unwrap());
    assert!(store.resume(None, &me()).await.unwrap());
    assert!(store.begin_unbinding(&settling, now, "w1").await.unwrap());
    assert!(paused(None).await.unwrap().is_none(), "it must drain first");
    // Who did it and why is on record, and what was refused or changed nothing is not.
    let told = "select count(*) from audit where (actor, reason) = ('me', 'a test') and action = ";
    for (action, times) in [
        ("shard.pause", 2),
        ("shard.resume", 2),
        ("shards.resize", 1),
    ] {
        let told = format!("{told}'{action}'");
        assert_eq!(database.count(&told).await, times, "{action}");
    }
}

/// Somebody else's transaction, which holds the lock that both of them take, and does this.
async fn locked(database: &Database, statement: &'static str) -> Transaction<'static, Postgres> {
    let mut other = database.raw.begin().await.unwrap();
    for statement in [
        "select generation from generations where state = 'current' for update",
        statement,
    ] {
        sqlx::query(statement).execute(&mut *other).await.unwrap();
    }
    other
}

#[tokio::test]
async fn of_a_pause_and_the_unbinding_at_one_time_the_second_sees_the_first() {
    let database = Database::fresh().await;
    let store = with_shards(&database, 2).await;
    request(&store, 3).await;
    advance(&store, ResizeStep::Declaring).await;
    advance(&store, ResizeStep::Settling).await;
    let settling = open(&store).await;

    let waits = Duration::from_millis(300);
    let pausing = "insert into pauses (paused_by, reason) values ('ada', 'a test')";
    let other = locked(&database, pausing).await;
    let mut unbinding = Box::pin(store.begin_unbinding(&settling, Duration::ZERO, "w1"));
    let early = tokio::time::timeout(waits, &mut unbinding).await;
    assert!(early.is_err(), "{early:?}");
    other.commit().await.unwrap();
    assert!(!unbinding.await.unwrap(), "everything is paused");
    assert!(store.resume(None, &me()).await.unwrap());

    let unbinding = "update resizes set step = 'unbinding', unbound_at = now()";
    let other = locked(&database, unbinding).await;
    let actor = me();
    let mut pausing = Box::pin(store.pause(None, &actor, None));
    let early = tokio::time::timeout(waits, &mut pausing).await;
    assert!(early.is_err(), "{early:?}");
    other.commit().await.unwrap();
    assert_eq!(pausing.await.unwrap(), None, "it must drain first");
}

#[tokio::test]
async fn a_pause_ends_by_itself_on_the_clock_of_the_database() {
    let database = Database::fresh().await;
    let store = with_shards(&database, 1).await;
    let long = Duration::from_hours(1);
    store.pause(None, &me(), Some(long)).await.unwrap().unwrap();
    assert_eq!(store.pauses().await.unwrap().len(), 1);
    database
        .run("update pauses set expires_at = clock_timestamp()")
        .await
        .unwrap();
    assert_eq!(store.pauses().await.unwrap(), []);
    assert!(
        store.served_generations().await.unwrap()[0]
            .paused
            .is_empty()
    );
    assert!(
        !store.resume(None, &me()).await.unwrap(),
        "nothing was paused"
    );
}
