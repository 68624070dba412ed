//! An operator moves the shards off a worker, so that it can be stopped.

use std::{
    process::{Command, Output},
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::{
    matrix::Judge,
    role::Role,
    system::{System, success, until},
};

/// Its end, while other tasks of the test go on.
async fn ended(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    output.await.unwrap()
}

async fn workers(system: &System) -> Vec<Value> {
    let found = system.read("/v1/shards").await;
    found["workers"].as_array().unwrap().clone()
}

/// Names of both, the longer there first.
async fn names(system: &System) -> [String; 2] {
    let rows = workers(system).await;
    let name = |row: &Value| row["worker"].as_str().unwrap().to_owned();
    [name(&rows[0]), name(&rows[1])]
}

/// How many shards each claimed last, and how many it consumes.
async fn shares(system: &System) -> Value {
    let rows = workers(system).await;
    let shares = rows
        .iter()
        .map(|row| json!([row["owned"], row["consumed"]]));
    shares.collect()
}

/// A storm judges meanwhile: nothing is lost, doubled or out of order.
#[tokio::test]
async fn a_worker_is_drained_under_load_and_has_its_share_again_when_that_is_taken_back() {
    let system = System::start().await;
    let second = Role::start(&system.env, "worker");
    let done = AtomicBool::new(false);
    let judge = Judge::new(&system);
    let steering = async {
        let both = json!([[2, 4], [2, 4]]);
        until("both have their share", async || {
            shares(&system).await == both
        })
        .await;
        let [name, other] = names(&system).await;
        let drain = |name: &str, more: &[&str]| {
            let args = [&["shards", "drain", name, "-o", "json"], more].concat();
            ended(system.orderly(&args))
        };
        let why = ["--reason", "an upgrade"];
        let drained: Value = serde_json::from_str(&success(drain(&name, &why).await)).unwrap();
        assert_eq!(
            (&drained["worker"], &drained["left"]),
            (&json!(name), &json!([]))
        );
        assert_eq!(workers(&system).await[0]["consumed"], 0);
        until("the other owns all", async || {
            shares(&system).await == json!([[0, 0], [4, 4]])
        })
        .await;
        let last = drain(&other, &why).await;
        assert_eq!(last.status.code(), Some(6), "nobody would be left");
        let listed = ended(system.orderly(&["shards", "list"])).await;
        let words = String::from_utf8(listed.stderr).unwrap();
        assert!(
            words.contains(&format!("drained: {name}, by test (")),
            "{words}"
        );

        success(drain(&name, &["--undo"]).await);
        until("it has its share again", async || {
            shares(&system).await == both
        })
        .await;
        done.store(true, Ordering::SeqCst);
        name
    };
    let (storms, name) = tokio::join!(judge.storms(&done), steering);
    eprintln!("{} commands accepted", storms.iter().sum::<u64>());
    let audit = system.succeed(&["audit", "tail", "--action", "worker", "-o", "json"]);
    let audit: Vec<Value> = serde_json::from_str(&audit).unwrap();
    let told = audit.iter().map(|entry| {
        let names = ["actor", "action", "target", "reason"];
        json!(names.map(|name| &entry[name]))
    });
    let target = format!("worker/{name}");
    assert_eq!(
        told.collect::<Value>(),
        json!([
            ["test", "worker.drain", target, "an upgrade"],
            ["test", "worker.resume", target, null],
        ])
    );
    system.verify();
    drop(second);
}

#[tokio::test]
async fn what_nobody_else_has_room_for_stays_with_the_drained_worker_and_is_told() {
    let mut system = System::start().await;
    system.worker.kill();
    let small = Role::start_with(&system.env, "worker", &["--max-shards", "1"]);
    system.worker = Role::start(&system.env, "worker");
    until("they stand", async || {
        let rows = workers(&system).await;
        rows.len() == 3 && rows[1..].iter().all(|row| row["consumed"] == 4)
    })
    .await;
    let rows = workers(&system).await;
    let large = rows[1..]
        .iter()
        .find(|row| row["max_shards"].is_null())
        .unwrap();
    let name = large["worker"].as_str().unwrap();
    let unknown = ["shards", "drain", "nobody", "--reason", "a test"];
    let unknown = ended(system.orderly(&unknown)).await;
    assert_eq!(unknown.status.code(), Some(5));
    let args = [
        "shards", "drain", name, "--reason", "a test", "--limit", "15s", "-o", "json",
    ];
    let partly = ended(system.orderly(&args)).await;
    let words = String::from_utf8(partly.stderr).unwrap();
    assert_eq!(partly.status.code(), Some(3), "{words}");
    let drained: Value = serde_json::from_slice(&partly.stdout).unwrap();
    let left = drained["left"].as_array().unwrap();
    assert_eq!(left.len(), 3, "one has gone: {words}");
    assert!(
        left.iter()
            .all(|shard| words.contains(shard.as_str().unwrap())),
        "{words}"
    );
    // Nobody is left out because of it.
    let order_id = system.place().await;
    assert_eq!(system.version(order_id).await, 1);
    let states = system.succeed(&["shards", "list", "-o", "json"]);
    let states: Vec<Value> = serde_json::from_str(&states).unwrap();
    assert!(
        states.iter().all(|shard| shard["state"] != "unserved"),
        "{states:?}"
    );
    drop(small);
}
