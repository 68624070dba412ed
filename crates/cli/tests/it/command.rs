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
