//! `Prefer: wait`: the outcome if it comes in time, and never a guess.

use std::time::{Duration, Instant};

use orderly_protocol::{Fingerprint, Outcome};
use serde_json::json;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::stage::{Stage, order, until};
use crate::worker::rejection;

#[tokio::test]
async fn an_applied_place_is_a_201_with_its_order() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    let (answer, command) =
        tokio::join!(stage.post("/v1/orders", &order()).wait(99).send(), async {
            let command = worker.next().await;
            worker.reply(&command, Outcome::Applied, None, 1).await;
            command
        });
    assert_eq!(
        (answer.status, answer.text("status")),
        (201, "applied"),
        "{}",
        answer.body
    );
    assert_eq!(
        answer.header("location"),
        format!("/v1/orders/{}", command.order_id)
    );
    assert_eq!(answer.header("etag"), "\"v1\"");
    assert_eq!(answer.header("preference-applied"), "wait=30");
    assert_eq!(answer.body["version"], 1);
}

#[tokio::test]
async fn any_other_applied_command_is_a_200() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    let path = format!("/v1/orders/{}/commands", Uuid::new_v4());
    let hold = json!({"type": "hold", "data": {"reason": "fraud"}});
    let (answer, ()) = tokio::join!(stage.post(&path, &hold).wait(20).send(), async {
        let command = worker.next().await;
        worker.reply(&command, Outcome::Applied, None, 7).await;
    });
    assert_eq!((answer.status, answer.text("status")), (200, "applied"));
    assert_eq!(
        (answer.header("etag"), answer.header("location")),
        ("\"v7\"", "")
    );
}

#[tokio::test]
async fn a_rejection_is_a_problem_with_everything_that_is_recorded() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    let commands = format!("/v1/orders/{}/commands", Uuid::new_v4());
    let amend = json!({"type": "amend", "data": {"lines": order()["lines"]}});
    for (code, status) in [
        ("insufficient_stock", 409),
        ("version_conflict", 412),
        ("unknown_sku", 422),
        ("order_not_found", 404),
    ] {
        let (answer, ()) = tokio::join!(stage.post(&commands, &amend).wait(20).send(), async {
            let command = worker.next().await;
            worker
                .record(&command, Outcome::Rejected, 3, Some(&rejection(code)))
                .await;
            worker
                .reply(&command, Outcome::Rejected, Some(code), 3)
                .await;
        });
        answer.is_problem(status, code);
        assert_eq!(answer.text("detail"), "why it was rejected");
        assert_eq!(answer.pointers(), ["/data/lines/0/sku"]);
        assert_eq!(answer.body["allowed_commands"], json!(["amend"]));
        assert_eq!(answer.header("preference-applied"), "wait=20");
    }
    // In a body that is the data itself, the pointers stay as they are.
    let (answer, ()) = tokio::join!(stage.post("/v1/orders", &order()).wait(20).send(), async {
        let command = worker.next().await;
        worker
            .record(
                &command,
                Outcome::Rejected,
                0,
                Some(&rejection("unknown_sku")),
            )
            .await;
        worker
            .reply(&command, Outcome::Rejected, Some("unknown_sku"), 0)
            .await;
    });
    assert_eq!(answer.pointers(), ["/lines/0/sku"]);
}

#[tokio::test]
async fn without_the_database_a_rejection_is_told_by_its_code() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    stage
        .post("/v1/orders", &order())
        .send()
        .await
        .is_accepted();
    worker.next().await;
    stage.database.set_away(true);
    let (answer, ()) = tokio::join!(stage.post("/v1/orders", &order()).wait(20).send(), async {
        let command = worker.next().await;
        worker
            .reply(&command, Outcome::Rejected, Some("insufficient_stock"), 0)
            .await;
    });
    answer.is_problem(409, "insufficient_stock");
}

#[tokio::test]
async fn an_outcome_of_another_request_is_a_reused_key() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    let owner = Fingerprint([9; 32]);
    let (answer, ()) = tokio::join!(
        stage.post("/v1/orders", &order()).key("k").wait(20).send(),
        async {
            let command = worker.next().await;
            worker
                .reply_for(&command, owner, Outcome::Applied, None, 1)
                .await;
        }
    );
    answer.is_problem(422, "idempotency_key_reused");

    let path = format!("/v1/orders/{}", Uuid::new_v4());
    let (answer, ()) = tokio::join!(stage.put(&path, &order()).wait(20).send(), async {
        let command = worker.next().await;
        worker
            .reply_for(&command, owner, Outcome::Applied, None, 1)
            .await;
    });
    answer.is_problem(409, "order_exists");
}

#[tokio::test]
async fn a_wait_that_runs_out_is_a_202() {
    let stage = Stage::new().await;
    let started = Instant::now();
    let answer = stage.post("/v1/orders", &order()).wait(1).send().await;
    answer.is_accepted();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert!(answer.header("location").contains("?receipt="));
}

#[tokio::test]
async fn a_lost_reply_costs_only_the_wait() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    let (answer, ()) = tokio::join!(stage.post("/v1/orders", &order()).wait(2).send(), async {
        let command = worker.next().await;
        worker.record(&command, Outcome::Applied, 1, None).await;
    });
    assert_eq!((answer.status, answer.text("status")), (201, "applied"));
    assert!(answer.body["decided_at"].is_string());
}

#[tokio::test]
async fn a_parked_command_is_a_202_that_says_so() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    let (answer, ()) = tokio::join!(stage.post("/v1/orders", &order()).wait(2).send(), async {
        let command = worker.next().await;
        worker.park(&command).await;
    });
    assert_eq!((answer.status, answer.text("status")), (202, "parked"));
}

#[tokio::test]
async fn a_replay_shows_where_its_command_stands() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    let place = || stage.post("/v1/orders", &order()).key("k");
    place().send().await.is_accepted();
    let command = worker.next().await;

    // The first request did not wait, so no reply comes; the second one waits all the same.
    let (waited, ()) = tokio::join!(place().wait(20).send(), async {
        worker.record(&command, Outcome::Applied, 1, None).await;
    });
    assert_eq!((waited.status, waited.text("status")), (201, "applied"));
    assert_eq!(waited.header("idempotent-replayed"), "true");

    let shown = place().send().await;
    assert_eq!((shown.status, shown.text("status")), (202, "applied"));
    assert_eq!(
        shown.header("retry-after"),
        "",
        "a final status does not change"
    );
}

#[tokio::test]
async fn a_wait_ends_when_the_ingress_stops() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().await;
    let started = Instant::now();
    let (answer, ()) = tokio::join!(stage.post("/v1/orders", &order()).wait(30).send(), async {
        worker.next().await;
        stage.ingress.token.cancel();
    });
    answer.is_accepted();
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    stage.ingress.ended().await;
}

#[tokio::test]
async fn replies_come_again_after_the_broker_was_away() {
    let stage = Stage::new().await;
    let worker = Mutex::new(stage.worker().await);
    stage.broker.set_away(true);
    until("the ingress noticed", || async {
        stage.post("/v1/orders", &order()).send().await.status == 503
    })
    .await;
    stage.broker.set_away(false);
    // The publisher may be back before the reply queue is: then there is no address for a reply.
    until("a reply came", || async {
        let key = Uuid::new_v4().to_string();
        let (answer, ()) = tokio::join!(
            stage.post("/v1/orders", &order()).key(&key).wait(1).send(),
            async {
                worker.lock().await.reply_to_key(&key).await;
            }
        );
        answer.status == 201
    })
    .await;
}
