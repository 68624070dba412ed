//! An operator steers the shards: another number of them, pauses.

use std::time::Duration;

use orderly_broker::{BrokerConfig, Confirm, Connection, Message};
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
    retired(&system, order_id).await;
    system.verify();
    drop(second);
}

/// The old queues go when nothing is in them, and not before.
async fn retired(system: &System, order_id: Uuid) {
    let retire = || {
        system
            .orderly(&["topology", "retire"])
            .output()
            .unwrap()
            .status
            .code()
    };
    let queues = async || {
        let list = [
            "--quiet",
            "--vhost",
            system.env.vhost(),
            "list_queues",
            "name",
        ];
        let listed = system.env.rabbitmqctl(&list).await.unwrap();
        let generations =
            (1..=3).map(|generation| listed.matches(&format!("orders.g{generation}.")).count());
        generations.collect::<Vec<_>>()
    };
    system.succeed(&["pause", "--reason", "a test"]);
    until("nobody consumes", async || {
        let list = [
            "--quiet",
            "--vhost",
            system.env.vhost(),
            "list_consumers",
            "queue_name",
        ];
        !system
            .env
            .rabbitmqctl(&list)
            .await
            .unwrap()
            .contains("orders.g")
    })
    .await;
    // A command that came after all: nobody forwards it while all is paused.
    let connection = Connection::open(&BrokerConfig::new(system.env.amqp_url.clone(), "late"))
        .await
        .unwrap();
    let mut publisher = connection.publisher().await.unwrap();
    let message = Message::commands(&b"{}"[..]);
    let stored = publisher
        .publish_mandatory("", "orders.g1.002", &message)
        .await;
    assert_eq!(stored.unwrap(), Confirm::Stored);
    connection.close().await;
    assert_eq!(retire(), Some(3));
    assert_eq!(queues().await, [4, 0, 3], "the empty ones are gone");
    system.succeed(&["resume"]);
    until("it is forwarded", async || {
        let letters = system
            .env
            .psql(&["select count(*) from dead_letters"])
            .await
            .unwrap();
        letters.trim() == "1"
    })
    .await;
    assert_eq!(retire(), Some(0));
    assert_eq!(queues().await, [0, 0, 3]);
    assert_eq!(retire(), Some(0), "again is fine");
    assert_eq!(annotate(system, order_id, "after", true).await, 200);
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
