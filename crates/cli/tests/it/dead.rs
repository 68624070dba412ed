//! `orderly dead`: a dead letter becomes the command that it was meant to be, once.

use crate::system::{System, until};

#[tokio::test]
async fn a_repaired_dead_letter_is_applied_once_by_the_worker() {
    let system = System::start().await;
    let order_id = system.place().await;
    let letter = "insert into dead_letters (body_hash, body, headers, reason, detail, generation, shard, received_at)
                  values (sha256('garbage'), 'garbage', '{}', 'unreadable', 'not a command message', 1, 0, now())";
    system.env.psql(&[letter]).await.unwrap();
    let open = async |number: f64| system.metric("orderly_dead_letters").await == Some(number);
    until("it is counted", async || open(1.0).await).await;

    let order = order_id.to_string();
    let repair = |value: &str| {
        let data = format!(r#"{{"key":"gift","value":"{value}"}}"#);
        let args = [
            "dead", "repair", "1", "--order", &order, "--type", "annotate", "--data", &data,
            "--reason", "why",
        ];
        system.orderly(&args).output().unwrap().status.code()
    };
    assert_eq!(repair("yes"), Some(0));
    until("it is applied", async || {
        system.version(order_id).await == 2
    })
    .await;
    assert_eq!(repair("no"), Some(6));
    // As if the record of it had been lost with its process: the command id is the same, so the worker has done it.
    let lost = "update dead_letters set resolution = null, resolved_at = null, resolved_by = null, resolve_reason = null,
                command_ids = '{}'";
    system.env.psql(&[lost]).await.unwrap();
    assert_eq!(repair("no"), Some(0));
    let conflicts = "select count(*) from command_conflicts";
    until("the other content is refused", async || {
        system.env.psql(&[conflicts]).await.unwrap().trim() == "1"
    })
    .await;
    assert_eq!(system.version(order_id).await, 2);
    until("none is open", async || open(0.0).await).await;
    system.verify();
    system.succeed(&["audit", "verify"]);
}
