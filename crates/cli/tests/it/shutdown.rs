//! SIGTERM: readiness goes first, nothing in flight is lost.

use std::os::unix::process::ExitStatusExt;

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    role::Role,
    system::{System, until},
};

#[tokio::test]
async fn a_worker_told_to_end_hands_over_and_the_next_one_applies_the_rest_once() {
    let mut system = System::start().await;
    let order_id = system.place().await;
    let posted: u64 = 300;
    for number in 0..posted {
        let body = json!({"type": "annotate", "data": {"key": "n", "value": number.to_string()}});
        let answer = system
            .send(order_id, &body, &format!("n/{number}"), false)
            .await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        if number == posted / 2 {
            system.worker.signal("TERM");
        }
    }
    let status = system.worker.ended().await;
    assert_eq!(
        (status.code(), status.signal()),
        (Some(0), None),
        "{status}"
    );
    system.worker = Role::start(&system.env, "worker");
    until("every command is applied", async || {
        system.version(order_id).await == posted + 1
    })
    .await;
    let values: Vec<_> = system
        .events(order_id)
        .await
        .iter()
        .skip(1)
        .map(|e| e["data"]["value"].clone())
        .collect();
    let expected: Vec<_> = (0..posted)
        .map(|number| json!(number.to_string()))
        .collect();
    assert_eq!(values, expected);
    system.verify();
}

#[tokio::test]
async fn a_listener_told_to_end_is_not_ready_before_it_is_gone() {
    let mut system = System::start().await;
    let http = system.http.clone();
    let url = format!("{}/readyz", system.ingress.url);
    system.ingress.signal("TERM");
    until("it says that it is not ready", async || {
        http.get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE)
    })
    .await;
    let status = system.ingress.ended().await;
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test]
async fn every_role_ends_cleanly_by_itself() {
    let mut system = System::start().await;
    for name in ["relay", "payments", "dashboard"] {
        let mut role = Role::start(&system.env, name);
        role.ready(&system.http).await;
        role.signal("TERM");
        let status = role.ended().await;
        assert_eq!(status.code(), Some(0), "{name}: {status}");
    }
    system.worker.signal("INT");
    assert_eq!(system.worker.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_aborts_the_drain() {
    let mut system = System::start().await;
    // Two kinds: of two pending ones of the same kind, one is lost.
    system.ingress.signal("TERM");
    system.ingress.signal("INT");
    assert_eq!(system.ingress.ended().await.code(), Some(1));
}

#[tokio::test]
async fn a_worker_that_was_frozen_goes_on_when_it_is_let_go() {
    let mut system = System::start().await;
    let order_id = system.place().await;
    system.worker.signal("STOP");
    // Longer than the watchdog's patience, which must not count time in which the whole process stood still.
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    system.worker.signal("CONT");
    let body = json!({"type": "annotate", "data": {"key": "n", "value": "1"}});
    let answer = system.send(order_id, &body, "n/1", true).await;
    assert_eq!(
        answer.status(),
        StatusCode::OK,
        "{}",
        answer.text().await.unwrap()
    );
    system.worker.signal("TERM");
    assert_eq!(system.worker.ended().await.code(), Some(0));
}
