//! A worker that stops while megabytes of an answer are on their way to it: its session can neither go on nor end by itself, and holds
//! the row of its shard.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::{
    role::Role,
    system::{System, until},
};

/// Their states, which a batch loads, are more than the buffers of a connection hold: 4 MB to send, 6 MB to receive
/// (`tcp_wmem` and `tcp_rmem` of Linux).
const ORDERS: usize = 110;
const LINES: u32 = 1_000;

/// The broker misses it after 15 s, and its lock is waited for twice; the rest is a busy machine.
const LIMIT: Duration = Duration::from_secs(40);

/// Sessions of workers that wait so.
async fn waiting(system: &System, how: &str) -> bool {
    let count = format!(
        "select count(*) from pg_stat_activity
         where datname = current_database() and application_name like 'orderly worker%' and {how}"
    );
    system.env.psql(&[&count]).await.unwrap().trim() != "0"
}

#[tokio::test]
async fn a_worker_frozen_amid_megabytes_is_replaced_and_commits_nothing_more() {
    let system = System::start_with_shards("1").await;
    let orders = large_orders(&system).await;
    let states = "select sum(octet_length(state::text)) / 1000000 from orders";
    let megabytes = system.env.psql(&[states]).await.unwrap();

    // Everything is there before anybody looks, so that it is one batch.
    system.succeed(&["shards", "pause", "0", "--reason", "a test"]);
    until("nobody consumes", async || {
        system.read("/v1/shards").await["shards"][0]["state"] == "paused"
            && system.read("/v1/shards").await["workers"][0]["consumed"] == 0
    })
    .await;
    annotate(&system, &orders).await;

    // The batch waits amid its load, is frozen there, and only then gets its answer.
    let locked = [
        "begin",
        "lock table orders in access exclusive mode",
        "select pg_sleep(1.6)",
        "commit",
    ];
    let frozen = async {
        until("orders are locked", async || {
            let granted = "select count(*) from pg_locks
                where relation = 'orders'::regclass and mode = 'AccessExclusiveLock' and granted";
            system.env.psql(&[granted]).await.unwrap().trim() == "1"
        })
        .await;
        let resume = system
            .http
            .post(format!("{}/v1/shards/0/resume", system.dashboard.url));
        let resumed = resume.bearer_auth(&system.key).send().await.unwrap();
        assert!(resumed.status().is_success());
        until("the batch waits", || {
            waiting(&system, "wait_event_type = 'Lock'")
        })
        .await;
        system.worker.signal("STOP");
    };
    let (unlocked, ()) = tokio::join!(system.env.psql(&locked), frozen);
    unlocked.unwrap();
    until("its answer is stuck", || {
        waiting(&system, "wait_event = 'ClientWrite'")
    })
    .await;

    let began = Instant::now();
    let standby = Role::start(&system.env, "worker");
    let applied = "select count(*) from commands where type = 'annotate' and outcome = 'applied'";
    let all = orders.len().to_string();
    until("another worker applies all of it", async || {
        system.env.psql(&[applied]).await.unwrap().trim() == all
    })
    .await;
    let took = began.elapsed();
    eprintln!(
        "{} MB unread; applied by another worker after {took:.1?}",
        megabytes.trim()
    );
    assert!(took < LIMIT, "{took:?}");

    system.worker.signal("CONT");
    until("the frozen one has noticed", async || {
        system.worker.says("subscription ended") || system.worker.says("was lost")
    })
    .await;
    for order in &orders {
        assert_eq!(system.version(*order).await, 2);
    }
    system.verify();
    drop(standby);
}

/// In one request, so that they are few messages: a consumer gets no more than 32 at once.
async fn annotate(system: &System, orders: &[Uuid]) {
    let line = |order: &Uuid| {
        let data = json!({"key": "n", "value": "1"});
        let key = format!("n/{order}");
        let line =
            json!({"order_id": order, "type": "annotate", "data": data, "idempotency_key": key});
        format!("{line}\n")
    };
    let body: String = orders.iter().map(line).collect();
    let request = system
        .http
        .post(format!("{}/v1/commands/batch", system.ingress.url))
        .bearer_auth(&system.key)
        .header("Content-Type", "application/x-ndjson")
        .body(body);
    let answer = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(
        answer.matches(r#""status":"queued""#).count(),
        orders.len(),
        "{answer}"
    );
}

async fn large_orders(system: &System) -> Vec<Uuid> {
    let stock = (ORDERS * LINES as usize).to_string();
    system.succeed(&["stock", "adjust", "MUG", &stock, "--key", "frozen"]);
    // The same SKU again and again, at other prices.
    let line = |price| json!({"sku": "MUG", "quantity": 1, "unit_price_minor": price});
    let lines: Vec<_> = (1..=LINES).map(line).collect();
    let body = &json!({"customer_id": "c-1", "currency": "EUR", "lines": lines});
    let placing = stream::iter(0..ORDERS).map(|_| async move {
        let order_id = Uuid::now_v7();
        let request = system
            .http
            .put(format!("{}/v1/orders/{order_id}", system.ingress.url))
            .bearer_auth(&system.key)
            .header("Prefer", "wait=30")
            .json(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        order_id
    });
    placing.buffered(8).collect().await
}
