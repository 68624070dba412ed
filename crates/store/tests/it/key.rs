//! API keys and receipt keys.

use std::time::Duration;

use orderly_domain::ProducerId;
use orderly_protocol::api_key::Scope;
use orderly_store::NewApiKey;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::database::{Database, LIMIT, actor};

fn key(key_id: &str) -> NewApiKey {
    NewApiKey {
        key_id: key_id.to_owned(),
        producer: ProducerId(Uuid::from_u128(1)),
        name: "till 4".to_owned(),
        secret_hash: [9; 32],
        scopes: vec![Scope::CommandsWrite, Scope::OrdersRead],
    }
}

#[tokio::test]
async fn a_revoked_key_is_listed_but_no_longer_live() {
    let database = Database::fresh().await;
    let store = &database.store;
    store.insert_key(&key("k1"), &actor()).await.unwrap();
    store.insert_key(&key("k2"), &actor()).await.unwrap();

    let found = store.live_key("k1").await.unwrap().unwrap();
    assert_eq!(found.scopes, [Scope::CommandsWrite, Scope::OrdersRead]);
    assert_eq!(found.secret_hash, [9; 32]);
    assert_eq!(found.producer, ProducerId(Uuid::from_u128(1)));

    assert!(store.revoke_key("k1", &actor()).await.unwrap());
    assert!(
        !store.revoke_key("k1", &actor()).await.unwrap(),
        "revoked once"
    );
    assert!(
        !store.revoke_key("k9", &actor()).await.unwrap(),
        "never there"
    );
    assert_eq!(store.live_key("k1").await.unwrap(), None);
    let live = store.live_keys().await.unwrap();
    assert_eq!(
        live.iter().map(|k| k.key_id.as_str()).collect::<Vec<_>>(),
        ["k2"]
    );
    let all = store.list_keys().await.unwrap();
    assert_eq!(
        all.iter()
            .map(|k| (k.key_id.as_str(), k.revoked_at.is_some()))
            .collect::<Vec<_>>(),
        [("k1", true), ("k2", false)]
    );
}

#[tokio::test]
async fn a_taken_key_id_is_refused_by_name() {
    let database = Database::fresh().await;
    database
        .store
        .insert_key(&key("k1"), &actor())
        .await
        .unwrap();
    let fault = database
        .store
        .insert_key(&key("k1"), &actor())
        .await
        .unwrap_err();
    assert_eq!(fault.constraint(), Some("api_keys_pkey"));
}

#[tokio::test]
async fn a_scope_of_a_later_version_grants_nothing() {
    let database = Database::fresh().await;
    database
        .store
        .insert_key(&key("k1"), &actor())
        .await
        .unwrap();
    database
        .run("update api_keys set scopes = '{orders:read,moon:write}'")
        .await
        .unwrap();
    let found = database.store.live_key("k1").await.unwrap().unwrap();
    assert_eq!(found.scopes, [Scope::OrdersRead]);
}

#[tokio::test]
async fn other_processes_hear_of_every_change() {
    let database = Database::fresh().await;
    let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
    let mut changed = database.store.watch_keys(&tracker, &token);
    // Marked once when it listens.
    timeout(LIMIT, changed.changed()).await.unwrap().unwrap();
    database
        .store
        .insert_key(&key("k1"), &actor())
        .await
        .unwrap();
    timeout(Duration::from_secs(1), changed.changed())
        .await
        .expect("the new key was announced")
        .unwrap();
    database.store.revoke_key("k1", &actor()).await.unwrap();
    timeout(Duration::from_secs(1), changed.changed())
        .await
        .expect("the revocation was announced")
        .unwrap();

    token.cancel();
    tracker.close();
    timeout(LIMIT, tracker.wait())
        .await
        .expect("the listener ends with its token");
}

#[tokio::test]
async fn what_may_have_been_missed_is_announced_too() {
    let database = Database::fresh().await;
    let token = CancellationToken::new();
    let mut changed = database.store.watch_keys(&TaskTracker::new(), &token);
    timeout(LIMIT, changed.changed()).await.unwrap().unwrap();
    database
        .run(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity
             where datname = current_database() and query like 'LISTEN%'",
        )
        .await
        .unwrap();
    // Nobody listens now.
    database
        .store
        .insert_key(&key("k1"), &actor())
        .await
        .unwrap();
    timeout(LIMIT, changed.changed())
        .await
        .expect("marked when it listens again")
        .unwrap();
    token.cancel();
}

#[tokio::test]
async fn the_newest_receipt_key_signs_and_the_one_before_verifies() {
    let database = Database::fresh().await;
    assert_eq!(
        database.store.receipt_keys().await.unwrap().len(),
        1,
        "a migrated database has one"
    );
    database
        .run("insert into receipt_keys (secret) values (sha256('a')); insert into receipt_keys (secret) values (sha256('b'))")
        .await
        .unwrap();
    let keys = database.store.receipt_keys().await.unwrap();
    let expected: Vec<Vec<u8>> =
        sqlx::query_scalar("select unnest(array[sha256('b'), sha256('a')])")
            .fetch_all(&database.raw)
            .await
            .unwrap();
    assert_eq!(
        keys.iter().map(|k| k.to_vec()).collect::<Vec<_>>(),
        expected
    );
}

#[tokio::test]
async fn a_new_session_key_signs_at_once_and_is_announced() {
    let database = Database::fresh().await;
    let first = database.store.session_keys().await.unwrap();
    assert_eq!(first.len(), 1, "a migrated database has one");
    assert_ne!(first, database.store.receipt_keys().await.unwrap());
    let token = CancellationToken::new();
    let mut changed = database.store.watch_keys(&TaskTracker::new(), &token);
    timeout(LIMIT, changed.changed()).await.unwrap().unwrap();
    database
        .run("insert into session_keys (secret) values (sha256('a'))")
        .await
        .unwrap();
    timeout(LIMIT, changed.changed())
        .await
        .expect("announced")
        .unwrap();
    let keys = database.store.session_keys().await.unwrap();
    assert_eq!((keys.len(), keys[1]), (2, first[0]));
    token.cancel();
}
