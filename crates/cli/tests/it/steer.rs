//! An operator steers the shards: another number of them, pauses.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    role::Role,
    system::{System, until},
};

async fn annotate(system: &System, order_id: Uuid, value: &str, wait: bool) -> u16 {
    let body = json!({"type": "annotate", "data": {"key": "n", "value": value}});
    let key = Uuid::now_v7().to_string();
    let answer = system.send(order_id, &body, &key, wait).await;
    answer.status().as_u16()
}

#[tokio::test]
async fn the_number_of_shards_changes_at_the_command_line() {
    let system = System::start().await;
    let second = Role::start(&system.env, "worker");
    let order_id = system.place().await;
    let plan = system.succeed(&["shards", "plan", "6", "-o", "json"]);
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!((&plan["from"], &plan["refused"]), (&json!(4), &Value::Null));
    for count in ["6", "3"] {
        let args = [
            "shards", "resize", count, "--reason", "a test", "-o", "json",
        ];
        let done: Value = serde_json::from_str(&system.succeed(&args)).unwrap();
        assert_eq!(
            json!([done["step"], done["to"].to_string()]),
            json!(["done", count])
        );
        assert_eq!(annotate(&system, order_id, count, true).await, 200);
    }
    let listed = system
        .orderly(&["shards", "list", "-o", "json"])
        .output()
        .unwrap();
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    let keys: Vec<_> = listed.iter().map(|row| row["shard"].clone()).collect();
    assert_eq!(json!(keys), json!(["g3.000", "g3.001", "g3.002"]));
    let aborting = system
        .orderly(&["shards", "resize", "--abort"])
        .output()
        .unwrap();
    assert_eq!(aborting.status.code(), Some(6), "there is nothing to abort");
    let same = system.orderly(&["shards", "resize", "3"]).output().unwrap();
    assert_eq!(same.status.code(), Some(6), "so many there are");
    assert_eq!(system.version(order_id).await, 3);
    system.verify();
    drop(second);
}

#[tokio::test]
async fn what_is_accepted_for_a_paused_shard_waits_and_goes_on() {
    let system = System::start().await;
    let order_id = system.place().await;
    for (pause, resume) in [
        (vec!["pause"], vec!["resume"]),
        (vec!["shards", "pause"], vec!["shards", "resume"]),
    ] {
        let before = system.version(order_id).await;
        let shards: &[&str] = if pause.len() == 1 {
            &[""]
        } else {
            &["0", "1", "2", "3"]
        };
        for shard in shards
            .iter()
            .map(|shard| (!shard.is_empty()).then_some(*shard))
        {
            let mut args = pause.clone();
            args.extend(shard);
            args.extend(["--reason", "a test"]);
            system.succeed(&args);
        }
        until("nobody consumes", async || {
            let queues = system.succeed(&["topology", "show", "-o", "json"]);
            let queues: Vec<Value> = serde_json::from_str(&queues).unwrap();
            let mut shards = queues
                .iter()
                .filter(|it| it["queue"].as_str().unwrap().contains(".g"));
            shards.all(|it| it["consumers"] == 0)
        })
        .await;
        assert_eq!(annotate(&system, order_id, "waits", false).await, 202);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(system.version(order_id).await, before);
        for shard in shards
            .iter()
            .map(|shard| (!shard.is_empty()).then_some(*shard))
        {
            let mut args = resume.clone();
            args.extend(shard);
            system.succeed(&args);
        }
        until("it goes on", async || {
            system.version(order_id).await == before + 1
        })
        .await;
    }
    system.verify();
}
