//! Who owns what, as it is told.

use orderly_broker::topology;
use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::json;
use orderly_store::LiveWorker;
use reqwest::{Method, StatusCode};

use crate::support::{Fixture, answer, insert_key};

#[tokio::test]
async fn shards_tell_their_owner_their_standby_and_what_waits() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    topology::declare_generation(&fixture.connection, 1, 3, topology::DEFAULT_MAX_LENGTH)
        .await
        .unwrap();
    let store = &fixture.store;
    store.create_first_generation(3, 32).await.unwrap();
    let worker = |worker: &str, subscribed: &[&str]| LiveWorker {
        worker: worker.to_owned(),
        capacity: None,
        subscribed: subscribed.iter().map(ToString::to_string).collect(),
        declined: Vec::new(),
    };
    let (one, two) = (
        worker("one", &["g1.000", "g1.001"]),
        worker("two", &["g1.000"]),
    );
    store.heartbeat(&one).await.unwrap();
    store.heartbeat(&two).await.unwrap();
    let shard = |shard| orderly_protocol::ShardId {
        generation: 1,
        shard,
    };
    store.claim(shard(0), "one", 0).await.unwrap().unwrap();
    store.claim(shard(1), "gone", 0).await.unwrap().unwrap();
    store.claim(shard(2), "gone", 0).await.unwrap().unwrap();

    let (status, found) = dashboard.get("/v1/shards").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["generation"], 1);
    let told: Vec<_> = (0..3)
        .map(|index| {
            let shard = &found["shards"][index];
            let names = ["shard", "state", "owner", "standby", "epoch", "depth"];
            names.map(|name| shard[name].clone())
        })
        .collect();
    assert_eq!(
        json!(told),
        json!([
            ["g1.000", "owned", "one", ["two"], 1, 0],
            ["g1.001", "ready", "gone", ["one"], 1, 0],
            ["g1.002", "unserved", "gone", [], 1, 0],
        ])
    );
    let workers = &found["workers"];
    assert_eq!(
        json!([
            workers[0]["owned"],
            workers[0]["consumed"],
            workers[0]["alive"]
        ]),
        json!([1, 2, true])
    );

    let key = insert_key(store, &[Scope::OrdersRead]).await;
    let request = dashboard
        .request_without_key(Method::GET, "/v1/shards")
        .bearer_auth(key);
    assert_eq!(answer(request).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_queues_the_depth_is_unknown() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    fixture.store.create_first_generation(1, 32).await.unwrap();
    let (status, found) = dashboard.get("/v1/shards").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["shards"][0]["depth"], json!(null));
    assert_eq!(found["shards"][0]["state"], "unserved");
}
