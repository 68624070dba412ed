//! Operator commands: forms of output and exit codes.

use serde_json::Value;
use uuid::Uuid;

use crate::system::System;

/// The exit code.
fn code(system: &System, args: &[&str]) -> i32 {
    let output = system.orderly(args).output().unwrap();
    output
        .status
        .code()
        .unwrap_or_else(|| panic!("{args:?}: {}", output.status))
}

#[tokio::test]
async fn an_order_can_be_lived_from_the_command_line() {
    let system = System::start().await;
    let order_id = system.place().await.to_string();
    let send = |action: &str, data: &str| {
        let printed = system.succeed(&[
            "commands", "send", &order_id, action, "--data", data, "--wait", "30", "-o", "json",
        ]);
        serde_json::from_str::<Value>(&printed).unwrap()
    };
    let annotated = send("annotate", r#"{"key":"gift","value":"yes"}"#);
    assert_eq!(
        (&annotated["status"], &annotated["version"]),
        (&"applied".into(), &2.into())
    );
    let command_id = annotated["command_id"].as_str().unwrap();
    let shown: Value =
        serde_json::from_str(&system.succeed(&["commands", "show", command_id, "-o", "jsonl"]))
            .unwrap();
    assert_eq!(shown["status"], "applied");

    let order: Value =
        serde_json::from_str(&system.succeed(&["orders", "show", &order_id, "-o", "json"]))
            .unwrap();
    assert_eq!(order["version"], 2);
    let events = system.succeed(&["orders", "show", &order_id, "--events"]);
    assert!(
        events.contains("placed") && events.contains("annotated"),
        "{events}"
    );
    let stock = system.succeed(&["stock", "show", "MUG"]);
    assert!(stock.contains("MUG"), "{stock}");

    let shards: Value =
        serde_json::from_str(&system.succeed(&["shards", "list", "-o", "json"])).unwrap();
    let shards = shards.as_array().unwrap();
    let owned: Vec<_> = shards
        .iter()
        .filter(|shard| shard["state"] == "owned")
        .collect();
    assert_eq!(
        owned.len(),
        1,
        "one order, so one shard had a delivery: {shards:?}"
    );
    assert_eq!(
        (&owned[0]["epoch"], &owned[0]["depth"]),
        (&1.into(), &0.into())
    );
    assert!(shards.iter().all(|shard| shard["state"] != "unserved"));
    let table = system.succeed(&["shards", "list"]);
    assert!(table.starts_with("shard "), "{table}");
}

#[tokio::test]
async fn exit_codes_tell_what_kind_of_no_it_was() {
    let system = System::start().await;
    let order_id = system.place().await.to_string();
    let nobody = Uuid::now_v7().to_string();
    let rejected = ["commands", "send", &order_id, "deliver", "--wait", "30"];
    assert_eq!(code(&system, &rejected), 6);
    let stale = [
        "commands",
        "send",
        &order_id,
        "pay",
        "--data",
        r#"{"method":"card"}"#,
        "--if-version",
        "9",
        "--wait",
        "30",
    ];
    assert_eq!(code(&system, &stale), 6);
    assert_eq!(code(&system, &["orders", "show", &nobody]), 5);
    assert_eq!(code(&system, &["stock", "show", "NO-SUCH-SKU"]), 5);
    assert_eq!(code(&system, &["keys", "revoke", "nobody"]), 5);

    let key = system.succeed(&[
        "keys",
        "create",
        "--name",
        "reader",
        "--scopes",
        "orders:read",
        "-o",
        "json",
    ]);
    let key: Value = serde_json::from_str(&key).unwrap();
    let mut forbidden = system.orderly(&["commands", "send", &order_id, "deliver"]);
    forbidden.env("ORDERLY_API_KEY", key["key"].as_str().unwrap());
    assert_eq!(forbidden.output().unwrap().status.code(), Some(4));
    let away = [
        "orders",
        "show",
        &order_id,
        "--url",
        "http://127.0.0.1:9",
        "--dashboard-url",
        "http://127.0.0.1:9",
    ];
    assert_eq!(code(&system, &away), 7);
}

#[tokio::test]
async fn a_command_without_an_outcome_in_time_is_partly_done() {
    let mut system = System::start().await;
    let order_id = system.place().await.to_string();
    system.worker.kill();
    let send = |wait: &str, key: &str| {
        let args = [
            "commands", "send", &order_id, "deliver", "--wait", wait, "--key", key,
        ];
        system.orderly(&args).output().unwrap()
    };
    assert_eq!(send("0", "later").status.code(), Some(0));
    let waited = send("1", "now");
    assert_eq!(waited.status.code(), Some(3));
    let words = String::from_utf8(waited.stderr).unwrap();
    let (_, location) = words.split_once("orderly commands show '").unwrap();
    let location = location.trim().trim_end_matches('\'');
    let shown = system.succeed(&["commands", "show", location]);
    assert!(shown.contains("queued"), "{shown}");
}

/// Answers to lines, and how the command ended.
fn batch(system: &System, lines: &[&str]) -> (Vec<Value>, i32) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let path = file.path().to_str().unwrap();
    let args = ["commands", "batch", path, "-o", "json"];
    let output = system.orderly(&args).output().unwrap();
    let answers = serde_json::from_slice(&output.stdout).unwrap();
    (answers, output.status.code().unwrap())
}

#[tokio::test]
async fn some_of_several_is_partly_done() {
    let system = System::start().await;
    let order = r#"{"customer_id":"c","currency":"EUR","lines":[{"sku":"MUG","quantity":1,"unit_price_minor":1}]}"#;
    system.succeed(&["stock", "adjust", "MUG", "1"]);
    let placed = system.succeed(&[
        "commands", "send", "new", "place", "--data", order, "-o", "json",
    ]);
    let placed: Value = serde_json::from_str(&placed).unwrap();
    assert_eq!(placed["status"], "applied", "{placed}");
    let order_id = placed["order_id"].as_str().unwrap();
    assert_eq!(code(&system, &["commands", "send", "new", "pay"]), 2);

    let good = format!(
        r#"{{"order_id":"{order_id}","type":"annotate","data":{{"key":"gift","value":"yes"}}}}"#
    );
    let bad = r#"{"type":"pay"}"#;
    let (answers, end) = batch(&system, &[&good, "", bad]);
    assert_eq!(end, 3);
    assert_eq!(
        (
            &answers[0]["line"],
            &answers[0]["order_id"],
            &answers[0]["status"]
        ),
        (&1.into(), &order_id.into(), &"queued".into())
    );
    assert_eq!(answers[1]["code"], "invalid_command");
    assert_eq!(batch(&system, &[&good, &good]).1, 0);
    assert_eq!(batch(&system, &[bad, bad]).1, 2, "all for the same reason");
    crate::system::until("all are applied", async || {
        system.version(order_id.parse().unwrap()).await == 4
    })
    .await;

    let make = [
        "keys", "create", "--name", "till", "--scopes", "all", "-o", "json",
    ];
    let key: Value = serde_json::from_str(&system.succeed(&make)).unwrap();
    let key_id = key["key_id"].as_str().unwrap();
    let revoke = ["keys", "revoke", "nobody", key_id, "--yes"];
    assert_eq!(code(&system, &revoke), 3);
    assert_eq!(code(&system, &revoke), 5, "none of them is there any more");
}

#[tokio::test]
async fn a_role_that_is_ready_is_healthy_and_one_that_drains_is_not() {
    let mut system = System::start().await;
    let url = system.dashboard.url.clone();
    let healthy = || code(&system, &["healthcheck", "--url", &url]);
    assert_eq!(healthy(), 0);
    let mut own = system.orderly(&["healthcheck"]);
    own.env("ORDERLY_HTTP_ADDR", url.trim_start_matches("http://"));
    assert_eq!(own.output().unwrap().status.code(), Some(0));
    system
        .env
        .rabbitmqctl(&["delete_vhost", system.env.vhost()])
        .await
        .unwrap();
    crate::system::until("it is not ready", async || healthy() == 7).await;
    let output = system.orderly(&["healthcheck", "--url", &url]).output();
    let words = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(words.contains("not ready: events: "), "{words}");
    system.dashboard.kill();
}

#[tokio::test]
async fn what_a_server_of_its_own_refuses_has_its_code_too() {
    let env = orderly_devenv::test_env().await;
    let end = |variable: &str, url: &str| {
        let mut command = crate::system::orderly(&env, &["topology", "apply"]);
        let output = command.env(variable, url).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), words)
    };
    let database = env.database_url.replace(env.database(), "nowhere");
    let (missing, words) = end("ORDERLY_DATABASE_URL", &database);
    assert_eq!(missing, Some(5), "{words}");
    let (unmigrated, words) = end("ORDERLY_AMQP_URL", &env.amqp_url);
    assert_eq!(unmigrated, Some(1), "{words}");
    crate::system::success(crate::system::orderly(&env, &["migrate"]).output().unwrap());
    let mut stranger = url::Url::parse(&env.amqp_url).unwrap();
    stranger.set_username("stranger").unwrap();
    let (refused, words) = end("ORDERLY_AMQP_URL", stranger.as_str());
    assert_eq!(refused, Some(4), "{words}");
}

#[tokio::test]
async fn the_topology_is_applied_once_and_shown() {
    let system = System::start().await;
    system.succeed(&["topology", "apply", "--shards", "9"]);
    system.succeed(&["topology", "check"]);
    let shown = system.succeed(&["topology", "show", "-o", "json"]);
    let queues: Vec<Value> = serde_json::from_str(&shown).unwrap();
    let shards = queues
        .iter()
        .filter(|row| row["queue"].as_str().unwrap().starts_with("orders.g1."));
    assert_eq!(
        shards.count(),
        4,
        "the first generation stays as it is: {shown}"
    );
    assert!(queues.iter().all(|row| row["messages"].is_u64()), "{shown}");
}
