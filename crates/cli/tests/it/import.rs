//! `orderly import retail` over the sample, through every role.

use serde_json::Value;

use crate::system::{System, sample};

fn import(system: &System, percent: &str) -> Value {
    let file = sample();
    let args = [
        "import",
        "retail",
        file.to_str().unwrap(),
        "--seed-stock",
        percent,
        "-o",
        "json",
    ];
    serde_json::from_str(&system.succeed(&args)).unwrap()
}

fn lines(report: &Value, fate: &str) -> u64 {
    let rows = report["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["fate"] == fate);
    rows.map(|row| row["lines"].as_u64().unwrap()).sum()
}

fn command(report: &Value, step: &str, field: &str) -> u64 {
    let row = report["commands"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["step"] == step)
        .unwrap();
    row[field].as_u64().unwrap()
}

async fn counts(system: &System) -> String {
    let tables = "select (select count(*) from commands), (select count(*) from events), \
                  (select sum(on_hand) from stock), (select count(*) from stock_writes)";
    system.env.psql(&[tables]).await.unwrap()
}

#[tokio::test]
async fn with_enough_stock_every_order_is_delivered_and_a_second_run_changes_nothing() {
    let system = System::start().await;
    let first = import(&system, "100");
    assert_eq!(
        (
            lines(&first, "applied"),
            lines(&first, "skipped"),
            lines(&first, "rejected")
        ),
        (52, 8, 0)
    );
    assert_eq!(command(&first, "deliver", "applied"), 19);
    assert_eq!(command(&first, "return", "applied"), 7);
    system.verify();

    let before = counts(&system).await;
    let second = import(&system, "100");
    assert_eq!(second["lines"], first["lines"]);
    assert_eq!(command(&second, "place", "replayed"), 19);
    assert_eq!(counts(&system).await, before);
    system.verify();
}

#[tokio::test]
async fn with_too_little_stock_orders_are_rejected_whole_and_a_second_run_changes_nothing() {
    let system = System::start().await;
    let first = import(&system, "70");
    let rejected = lines(&first, "rejected");
    assert!(rejected > 0, "{first:#}");
    assert_eq!(
        lines(&first, "applied") + rejected + lines(&first, "skipped"),
        60
    );
    assert_eq!(
        command(&first, "place", "applied"),
        command(&first, "deliver", "applied")
    );
    system.verify();

    let before = counts(&system).await;
    let second = import(&system, "70");
    assert_eq!(second["lines"], first["lines"]);
    assert_eq!(counts(&system).await, before);
    system.verify();
}
