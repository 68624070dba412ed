//! The first kill: a worker that dies at random moments costs no command, no event and no order of them.

use std::{
    collections::{BTreeMap, HashMap},
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use orderly_broker::{BrokerConfig, Connection, StreamOffset};
use orderly_protocol::{decode_events, names};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    role::Role,
    system::{LIMIT, System, sample, success, until},
};

const KILLS: u32 = 3;
/// Orders of the sample that cost nothing: paid by `pay` itself, without a payment to record.
const FREE_ORDERS: u64 = 1;

/// Moments that a printed seed gives again (xorshift64).
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let given = std::env::var("ORDERLY_TEST_SEED")
            .ok()
            .map(|seed| seed.parse().unwrap());
        let seed = given.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0 | 1);
        eprintln!("ORDERLY_TEST_SEED={seed}");
        Self(seed)
    }

    /// 100 to 1,100 ms.
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(100 + self.0 % 1_000)
    }
}

#[tokio::test]
async fn a_worker_killed_three_times_costs_no_command_no_event_and_no_order() {
    let mut moments = Moments::new();
    let mut system = System::start().await;
    let hot_order = system.place().await;
    let file = sample();
    let import = [
        "import",
        "retail",
        file.to_str().unwrap(),
        "--seed-stock",
        "100",
        "--speed",
        "6",
        "-o",
        "json",
    ];
    let importing = system
        .orderly(&import)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (stop, accepted) = (AtomicBool::new(false), AtomicU64::new(0));
    let hot = Poster {
        url: system.ingress.url.clone(),
        key: system.key.clone(),
        order_id: hot_order,
    };
    tokio::join!(hot.post(&system.http, &stop, &accepted), async {
        for _ in 0..KILLS {
            tokio::time::sleep(moments.next()).await;
            system.worker.kill();
            tokio::time::sleep(moments.next() / 4).await;
            system.worker = Role::start(&system.env, "worker");
        }
        stop.store(true, Ordering::SeqCst);
    });
    let imported = tokio::task::spawn_blocking(|| importing.wait_with_output().unwrap())
        .await
        .unwrap();
    let report: Value = serde_json::from_str(&success(imported)).unwrap();
    assert_eq!(report["accounted_lines"], 60);

    let posted = accepted.load(Ordering::SeqCst);
    until("every hot command is applied", async || {
        system.version(hot_order).await == posted + 1
    })
    .await;
    hot_events_are_in_order(&system, hot_order, posted).await;
    every_command_has_one_outcome(&system, &report, posted).await;
    every_event_is_in_the_stream(&system).await;
    system.verify();
}

/// Posts one command after another to one order, each after the 202 of the one before, and never twice.
struct Poster {
    url: String,
    key: String,
    order_id: Uuid,
}

impl Poster {
    async fn post(&self, http: &reqwest::Client, stop: &AtomicBool, accepted: &AtomicU64) {
        while !stop.load(Ordering::SeqCst) {
            let number = accepted.load(Ordering::SeqCst);
            let body =
                json!({"type": "annotate", "data": {"key": "n", "value": number.to_string()}});
            let url = format!("{}/v1/orders/{}/commands", self.url, self.order_id);
            let key = format!("hot/{number}");
            let request = http
                .post(url)
                .bearer_auth(&self.key)
                .header("Idempotency-Key", key)
                .json(&body);
            let answer = request.send().await.unwrap();
            assert_eq!(
                answer.status(),
                StatusCode::ACCEPTED,
                "{}",
                answer.text().await.unwrap()
            );
            accepted.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn hot_events_are_in_order(system: &System, order_id: Uuid, posted: u64) {
    let events = system.events(order_id).await;
    let values: Vec<_> = events
        .iter()
        .skip(1)
        .map(|event| event["data"]["value"].clone())
        .collect();
    let expected: Vec<_> = (0..posted)
        .map(|number| json!(number.to_string()))
        .collect();
    assert_eq!(values, expected);
}

/// As many outcomes as commands were accepted, all of them applied; `commands` cannot hold two of one.
async fn every_command_has_one_outcome(system: &System, report: &Value, posted: u64) {
    let by_type =
        "select type || ' ' || outcome || ' ' || count(*) from commands group by type, outcome";
    let table = system.env.psql(&[by_type]).await.unwrap();
    let found: BTreeMap<(String, String), u64> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some(((words.next()?, words.next()?), words.next()?.parse().ok()?))
        })
        .collect();
    let applied = |step: &str| ((step.to_owned(), "applied".to_owned()), 0);
    let mut expected: BTreeMap<(String, String), u64> = [
        "place",
        "pay",
        "record_payment",
        "ship",
        "deliver",
        "return",
        "annotate",
    ]
    .map(applied)
    .into();
    for row in report["commands"].as_array().unwrap() {
        let count = row["applied"].as_u64().unwrap();
        *expected
            .get_mut(&applied(row["step"].as_str().unwrap()).0)
            .unwrap() += count;
    }
    *expected.get_mut(&applied("record_payment").0).unwrap() =
        expected[&applied("pay").0] - FREE_ORDERS;
    *expected.get_mut(&applied("place").0).unwrap() += 1;
    *expected.get_mut(&applied("annotate").0).unwrap() = posted;
    assert_eq!(found, expected);
}

/// Reads the stream from its beginning: the first copy of each version comes in version order, and every event is there.
async fn every_event_is_in_the_stream(system: &System) {
    let count = system
        .env
        .psql(&["select count(*) from events"])
        .await
        .unwrap();
    let events: usize = count.trim().parse().unwrap();
    let connection = Connection::open(&BrokerConfig::new(system.env.amqp_url.clone(), "test"))
        .await
        .unwrap();
    let mut reader = connection
        .read_stream(names::EVENTS_STREAM, StreamOffset::First, 32)
        .await
        .unwrap();
    let mut last: HashMap<Uuid, u64> = HashMap::new();
    let mut seen = 0;
    while seen < events {
        let message = tokio::time::timeout(LIMIT, reader.next()).await;
        let message =
            message.unwrap_or_else(|_| panic!("{seen} of {events} events are in the stream"));
        for event in decode_events(&message.unwrap().unwrap().body).unwrap() {
            let version = event.version.0;
            let order_last = last.entry(event.order_id.0).or_default();
            assert!(
                version <= *order_last + 1,
                "{} jumps from {order_last} to {version}",
                event.order_id
            );
            if version == *order_last + 1 {
                *order_last = version;
                seen += 1;
            }
        }
    }
    connection.close().await;
}
