//! `orderly verify` against a database that somebody changed behind its back.

use serde_json::Value;

use crate::system::System;

#[tokio::test]
async fn what_was_changed_behind_its_back_is_named() {
    let system = System::start().await;
    let order_id = system.place().await;
    system.verify();

    let damage = [
        "update stock set on_hand = on_hand + 1 where sku = 'MUG'",
        "update orders set total_minor = total_minor + 1",
        "update commands set version = 7",
    ];
    system.env.psql(&damage).await.unwrap();
    let output = system.orderly(&["verify", "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let differences = report["differences"].as_array().unwrap();
    let subjects: Vec<_> = differences
        .iter()
        .map(|found| found["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects.len(), 3, "{report:#}");
    assert!(
        subjects.contains(&"MUG") && subjects.contains(&order_id.to_string().as_str()),
        "{report:#}"
    );
    assert_eq!(report["counts"]["differences"], 3);
}
