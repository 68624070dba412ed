//! How many workers there should be, as it is told.

use std::time::Duration;

use orderly_broker::{Message, topology};
use orderly_protocol::ShardId;
use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::{Value, json};
use orderly_store::{LiveWorker, WorkerLoad};
use reqwest::{Method, StatusCode};
use tokio::time::sleep;

use crate::support::{Fixture, answer, insert_key, until};

const SHARDS: i32 = 4;

fn named(worker: &str) -> LiveWorker {
    let keys = (0..SHARDS).map(|shard| {
        ShardId {
            generation: 1,
            shard,
        }
        .routing_key()
    });
    LiveWorker {
        worker: worker.to_owned(),
        capacity: None,
        subscribed: keys.collect(),
        declined: Vec::new(),
        draining: false,
    }
}

fn picked(signal: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| signal[name].clone()).collect()
}

#[tokio::test]
async fn workers_are_wanted_for_what_waits_and_no_longer() {
    let mut fixture = Fixture::new().await;
    topology::declare_generation(&fixture.connection, 1, SHARDS, topology::DEFAULT_MAX_LENGTH)
        .await
        .unwrap();
    let store = fixture.store.clone();
    store.create_first_generation(SHARDS, 32).await.unwrap();
    let load = WorkerLoad {
        messages_per_second: 0.8,
        busy: 0.4,
        orders_in_hand: 90,
        oldest_age_seconds: 2.5,
    };
    let beating = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                store.heartbeat(&named("one"), load).await.unwrap();
                sleep(Duration::from_secs(1)).await;
            }
        }
    });
    // The first look must find it.
    until(async || store.fleet_load().await.unwrap().workers == 1).await;
    let dashboard = fixture.start().await;
    let (status, calm) = dashboard.get("/v1/scaling").await;
    assert_eq!(status, StatusCode::OK);
    let because = calm["because"].as_str().unwrap();
    assert!(because.contains("time to spare"), "{because}");
    assert_eq!(
        calm,
        json!({
            "waiting_messages": 0, "runnable_orders": 90, "oldest_age_seconds": 2.5, "messages_per_second": 0.8,
            "drain_seconds": 0.0, "busy": 0.4, "workers": 1, "shards": 4, "wanted_workers": 1, "because": because,
        })
    );

    // 2/s is what it applies while it is busy, 60 in the time that what waits should be gone.
    for shard in 0..SHARDS {
        for _ in 0..31 {
            fixture
                .put(
                    ShardId {
                        generation: 1,
                        shard,
                    },
                    &Message::commands(&b"{}"[..]),
                )
                .await;
        }
    }
    until(async || {
        let signal = dashboard.get("/v1/scaling").await.1;
        picked(
            &signal,
            &["waiting_messages", "drain_seconds", "wanted_workers"],
        ) == json!([124, 155.0, 3])
    })
    .await;
    beating.abort();

    let key = insert_key(&store, &[Scope::OrdersRead]).await;
    let request = dashboard.request_without_key(Method::GET, "/v1/scaling");
    assert_eq!(
        answer(request.bearer_auth(key)).await.0,
        StatusCode::FORBIDDEN
    );
}

/// What is not known is not taken for nothing: an autoscaler would end workers.
#[tokio::test]
async fn without_queues_there_is_no_signal() {
    let fixture = Fixture::new().await;
    fixture.store.create_first_generation(1, 32).await.unwrap();
    let dashboard = fixture.start().await;
    let (status, problem) = dashboard.get("/v1/scaling").await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("not_ready"))
    );
}
