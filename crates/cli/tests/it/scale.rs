//! More workers, fewer workers, and the figures by which somebody decides how many.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use orderly_domain::OrderId;
use orderly_protocol::shard_of;
use reqwest::Client;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    matrix::Judge,
    role::Role,
    system::{System, until},
};

const SHARDS: u32 = 16;
const MOST: usize = 8;
const FEW: usize = 2;
const HANDOVERS: &str = "orderly_shard_handovers_total";

/// The values of a metric, one for each set of labels that has `label` among them.
async fn metric(http: &Client, url: &str, name: &str, label: &str) -> Vec<f64> {
    let request = http.get(format!("{url}/metrics")).send();
    let text = request.await.unwrap().text().await.unwrap();
    let line = |line: &str| {
        let labels = line.strip_prefix(name)?;
        let (labels, value) = labels.rsplit_once(' ')?;
        let is_meant = (labels.is_empty() || labels.starts_with('{')) && labels.contains(label);
        is_meant.then(|| value.parse().unwrap())
    };
    text.lines().filter_map(line).collect()
}

/// Its sum over these workers.
async fn sum(system: &System, workers: &[&Role], name: &str) -> f64 {
    let mut sum = 0.0;
    for worker in workers {
        let values = metric(&system.http, &worker.url, name, "").await;
        sum += values.iter().sum::<f64>();
    }
    sum
}

async fn sql(system: &System, statement: &str) -> String {
    let answer = system.env.psql(&[statement]).await.unwrap();
    answer.trim().to_owned()
}

async fn signal(system: &System) -> Value {
    system.read("/v1/scaling").await
}

/// A change of the number of workers, and what it cost.
struct Change<'a> {
    system: &'a System,
    began: Instant,
    began_at: String,
    handovers: f64,
}

impl<'a> Change<'a> {
    /// Begins while these workers are there, of those that stay.
    async fn begin(system: &'a System, workers: &[&Role]) -> Self {
        Self {
            system,
            began: Instant::now(),
            began_at: sql(system, "select clock_timestamp()").await,
            handovers: sum(system, workers, HANDOVERS).await,
        }
    }

    /// Ends when these workers, and no others, own all shards.
    async fn end(self, what: &str, workers: &[&Role]) {
        let system = self.system;
        let owners = "select count(distinct owner) || ' ' || count(*) from shards
             where owner in (select worker from workers where seen_at > now() - interval '5 s')";
        let wanted = format!("{} {SHARDS}", workers.len());
        until(what, async || {
            (sum(system, workers, "orderly_shard_owner_info").await - f64::from(SHARDS)).abs() < 0.5
                && sql(system, owners).await == wanted
        })
        .await;
        let handovers = sum(system, workers, HANDOVERS).await - self.handovers;
        let longest = format!(
            "select coalesce(round(1000 * extract(epoch from max(decided_at - accepted_at))), 0)
             from commands where decided_at > '{}'",
            self.began_at
        );
        eprintln!(
            "{what}: {:.1} s, {handovers} hand-overs, longest wait of a command {} ms",
            self.began.elapsed().as_secs_f64(),
            sql(system, &longest).await
        );
        assert!(handovers > 0.0, "{what}");
    }
}

/// Storms judge meanwhile: nothing is lost, doubled or out of order.
#[tokio::test]
async fn one_worker_becomes_eight_and_then_two_within_a_minute_under_load() {
    let system = System::start_with_shards(&SHARDS.to_string()).await;
    until("an idle system wants one worker", async || {
        signal(&system).await["wanted_workers"] == 1
    })
    .await;
    let done = AtomicBool::new(false);
    let judge = Judge::new(&system);
    let scaling = async {
        until("load asks for more workers", async || {
            signal(&system).await["wanted_workers"].as_u64() > Some(1)
        })
        .await;
        let loaded = signal(&system).await;
        eprintln!("{loaded:#}");
        assert_eq!(loaded["workers"], 1);
        let began = Instant::now();

        let change = Change::begin(&system, &[&system.worker]).await;
        let mut others: Vec<_> = (1..MOST)
            .map(|_| Role::start(&system.env, "worker"))
            .collect();
        let all: Vec<_> = std::iter::once(&system.worker).chain(&others).collect();
        change.end("from 1 worker to 8", &all).await;

        let mut leaving = others.split_off(FEW - 1);
        let staying = [&system.worker, &others[0]];
        let change = Change::begin(&system, &staying).await;
        for worker in &leaving {
            worker.signal("TERM");
        }
        for worker in &mut leaving {
            assert!(worker.ended().await.success());
        }
        change.end("from 8 workers to 2", &staying).await;
        let took = began.elapsed();
        assert!(took < Duration::from_mins(1), "{took:?}");
        done.store(true, Ordering::SeqCst);
        others
    };
    let (storms, others) = tokio::join!(judge.storms(&done), scaling);
    let accepted: u64 = storms.iter().sum();
    eprintln!("{accepted} commands accepted, no promise broken");
    until("an idle system wants one worker again", async || {
        let idle = signal(&system).await;
        json!([
            idle["wanted_workers"],
            idle["workers"],
            idle["waiting_messages"]
        ]) == json!([1, FEW, 0])
    })
    .await;
    assert_eq!(system.metric("orderly_scaling_workers").await, Some(2.0));
    system.verify();
    drop(others);
}

#[tokio::test]
async fn what_waits_is_told_of_a_paused_shard_and_of_one_without_a_worker() {
    let mut system = System::start().await;
    let order = system.place().await;
    let shard = shard_of(OrderId(order), 4);
    let label = format!("shard=\"g1.{shard:03}\"");
    let depth = async |system: &System| {
        let url = &system.dashboard.url;
        metric(&system.http, url, "orderly_shard_depth", &label).await
    };
    let post = async |system: &System| {
        let body = json!({"type": "annotate", "data": {"key": "n", "value": "waits"}});
        let key = Uuid::now_v7().to_string();
        assert_eq!(system.send(order, &body, &key, false).await.status(), 202);
    };
    let owned = async |system: &System| {
        let url = &system.worker.url;
        metric(&system.http, url, "orderly_shard_owner_info", &label).await
    };
    assert_eq!(owned(&system).await, [1.0]);
    system.succeed(&["shards", "pause", &shard.to_string(), "--reason", "a test"]);
    until("it is given up", async || owned(&system).await == [0.0]).await;
    for _ in 0..3 {
        post(&system).await;
    }
    until("three wait", async || depth(&system).await == [3.0]).await;
    // No worker may take them, so none is asked for.
    assert_eq!(signal(&system).await["waiting_messages"], 0);
    system.succeed(&["shards", "resume", &shard.to_string()]);
    until("none waits", async || depth(&system).await == [0.0]).await;

    system.worker.kill();
    post(&system).await;
    until("nobody is there for it", async || {
        let signal = signal(&system).await;
        let figures = [
            "waiting_messages",
            "runnable_orders",
            "drain_seconds",
            "workers",
        ];
        json!(figures.map(|name| &signal[name])) == json!([1, 1, null, 0])
            && signal["wanted_workers"] == 1
    })
    .await;
    let drain = system.metric("orderly_scaling_drain_seconds").await;
    assert_eq!(drain, Some(f64::INFINITY));
    system.worker = Role::start(&system.env, "worker");
    until("none waits", async || {
        let signal = signal(&system).await;
        json!([signal["waiting_messages"], signal["drain_seconds"]]) == json!([0, 0.0])
    })
    .await;
    until("all are applied", async || system.version(order).await == 5).await;
}

#[tokio::test]
async fn a_worker_that_cannot_go_on_tells_how_long_its_oldest_command_waits() {
    let system = System::start().await;
    let order = system.place().await;
    let holding = ["begin; select from shards for update; select pg_sleep(3); commit"];
    // Who holds such a lock for long is ended.
    let holding = async { system.env.psql(&holding).await.is_ok() };
    let telling = async {
        let waits = "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock'";
        until("the lock is held", async || {
            let body = json!({"type": "annotate", "data": {"key": "n", "value": "waits"}});
            let key = Uuid::now_v7().to_string();
            system.send(order, &body, &key, false).await;
            sql(&system, waits).await != "0"
        })
        .await;
        until("the age is told", async || {
            let url = &system.worker.url;
            let ages = metric(&system.http, url, "orderly_shard_oldest_age_seconds", "").await;
            ages.iter().any(|age| *age > 1.0)
        })
        .await;
        until("the heartbeat tells it", async || {
            let told =
                "select orders_in_hand || ' ' || (oldest_age_seconds > 1) || ' ' || (busy > 0)
                 from workers";
            sql(&system, told).await == "1 true true"
        })
        .await;
    };
    tokio::join!(holding, telling);
    until("nothing is in hand", async || {
        let told = "select orders_in_hand || ' ' || oldest_age_seconds from workers";
        let url = &system.worker.url;
        let ages = metric(&system.http, url, "orderly_shard_oldest_age_seconds", "").await;
        sql(&system, told).await == "0 0" && ages == [0.0; 4]
    })
    .await;
}
