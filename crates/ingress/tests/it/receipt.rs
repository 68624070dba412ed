//! `GET /v1/commands/{id}`: an accepted command is never a 404 for who holds its receipt.

use orderly_domain::{CommandId, OrderId};
use orderly_protocol::api_key::Scope;
use orderly_protocol::receipt::{self, Receipt};
use orderly_protocol::{Fingerprint, Outcome, ids};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::stage::{ALL_BUT_READ, Stage, order};
use crate::worker::rejection;

#[tokio::test]
async fn a_command_is_queued_by_its_receipt_and_then_what_became_of_it() {
    let stage = Stage::new().await;
    let accepted = stage.post("/v1/orders", &order()).send().await;
    let location = accepted.header("location").to_owned();
    let bare = format!("/v1/commands/{}", accepted.text("command_id"));
    let queued = stage.get(&location).send().await;
    assert_eq!((queued.status, queued.text("status")), (200, "queued"));
    assert_eq!(queued.text("order_id"), accepted.text("order_id"));
    assert_eq!(queued.header("retry-after"), "1");
    stage.get(&bare).send().await.is_problem(404, "not_found");

    let mut worker = stage.worker().await;
    let command = worker.next().await;
    worker
        .record(
            &command,
            Outcome::Rejected,
            0,
            Some(&rejection("unknown_sku")),
        )
        .await;
    for path in [&location, &bare] {
        let decided = stage.get(path).send().await;
        assert_eq!((decided.status, decided.text("status")), (200, "rejected"));
        assert_eq!(decided.body["rejection"]["code"], "unknown_sku");
        assert_eq!(decided.header("retry-after"), "");
    }
}

#[tokio::test]
async fn a_parked_command_is_shown_as_parked() {
    let stage = Stage::new().await;
    let accepted = stage.post("/v1/orders", &order()).send().await;
    let mut worker = stage.worker().await;
    let command = worker.next().await;
    worker.park(&command).await;
    let shown = stage.get(accepted.header("location")).send().await;
    assert_eq!(
        (shown.status, shown.text("status"), shown.text("type")),
        (200, "parked", "place")
    );
}

#[tokio::test]
async fn any_ingress_process_knows_the_receipt_of_another() {
    let stage = Stage::new().await;
    let accepted = stage.post("/v1/orders", &order()).send().await;
    let another = stage.another().await;
    // A new key, which the first process does not have yet, signs there and is known here.
    let new_key = "insert into receipt_keys (secret) values (sha256('new'))";
    stage.sql(new_key).await;
    let newest = stage.another().await;
    let later = stage
        .request_at(&newest, "POST", "/v1/orders")
        .body(&order().to_string())
        .send()
        .await;
    // Even if it read its keys only a moment before there was a new one: a forged receipt makes it read them.
    stage
        .sql("delete from receipt_keys where secret = sha256('new')")
        .await;
    let id = accepted.text("command_id");
    let forged = format!("/v1/commands/{id}?receipt=eA.eA");
    stage
        .get(&forged)
        .send()
        .await
        .is_problem(404, "receipt_invalid");
    stage.sql(new_key).await;
    for (ingress, answer) in [
        (&another, &accepted),
        (&newest, &accepted),
        (&stage.ingress, &later),
    ] {
        let shown = stage
            .request_at(ingress, "GET", answer.header("location"))
            .send()
            .await;
        assert_eq!(
            (shown.status, shown.text("status")),
            (200, "queued"),
            "{}",
            shown.body
        );
    }
}

#[tokio::test]
async fn what_is_no_receipt_of_the_command_is_refused() {
    let stage = Stage::new().await;
    let one = stage.post("/v1/orders", &order()).send().await;
    let two = stage.post("/v1/orders", &order()).send().await;
    let receipt = one.header("location").split_once('=').unwrap().1.to_owned();
    let path = |id: &str, receipt: &str| format!("/v1/commands/{id}?receipt={receipt}");
    let id = one.text("command_id");
    let forged = if receipt.ends_with('A') {
        receipt.replace('A', "B")
    } else {
        format!("{}A", &receipt[..receipt.len() - 1])
    };
    for odd in [
        path(id, "x"),
        path(id, ""),
        path(id, &forged),
        path(two.text("command_id"), &receipt),
    ] {
        stage
            .get(&odd)
            .send()
            .await
            .is_problem(404, "receipt_invalid");
    }
    let twice = format!("{}&receipt={receipt}", path(id, &receipt));
    stage
        .get(&twice)
        .send()
        .await
        .is_problem(400, "invalid_parameter");
    stage
        .get("/v1/commands/17")
        .send()
        .await
        .is_problem(400, "invalid_parameter");
}

#[tokio::test]
async fn a_command_is_seen_by_its_producer_and_by_readers() {
    let stage = Stage::new().await;
    let accepted = stage.post("/v1/orders", &order()).send().await;
    let location = accepted.header("location");
    let sender = stage.stranger(&ALL_BUT_READ).await;
    let reader = stage.stranger(&[Scope::OrdersRead]).await;
    let operator = stage.stranger(&[Scope::OpsRead]).await;
    stage
        .get(location)
        .send_as(&sender)
        .await
        .is_problem(404, "not_found");
    assert_eq!(stage.get(location).send_as(&reader).await.status, 200);
    stage
        .get(location)
        .send_as(&operator)
        .await
        .is_problem(403, "forbidden");
    stage
        .get(location)
        .send_as_nobody()
        .await
        .is_problem(401, "unauthenticated");

    let mut worker = stage.worker().await;
    let command = worker.next().await;
    worker.record(&command, Outcome::Applied, 1, None).await;
    stage
        .get(location)
        .send_as(&sender)
        .await
        .is_problem(404, "not_found");
    assert_eq!(
        stage.get(location).send_as(&reader).await.text("status"),
        "applied"
    );
}

#[tokio::test]
async fn a_receipt_whose_key_was_used_before_says_so() {
    let stage = Stage::new().await;
    let commands = format!("/v1/orders/{}/commands", Uuid::new_v4());
    let hold = json!({"type": "hold", "data": {"reason": "fraud"}});
    let keyed = stage.post(&commands, &hold).key("k").send().await;
    let put = stage
        .put(&format!("/v1/orders/{}", Uuid::new_v4()), &order())
        .send()
        .await;
    let mut worker = stage.worker().await;
    for _ in 0..2 {
        // Another ingress was first with another request under the same id.
        let mut command = worker.next().await;
        command.fingerprint = Fingerprint([9; 32]);
        worker.record(&command, Outcome::Applied, 1, None).await;
    }
    stage
        .get(keyed.header("location"))
        .send()
        .await
        .is_problem(422, "idempotency_key_reused");
    stage
        .get(put.header("location"))
        .send()
        .await
        .is_problem(409, "order_exists");
    // A replay finds it too.
    stage
        .post(&commands, &hold)
        .key("k")
        .send()
        .await
        .is_problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn an_old_receipt_no_longer_means_queued() {
    let stage = Stage::new().await;
    let key = stage.store.receipt_keys().await.unwrap()[0];
    let command_id = ids::command_id(stage.producer, "old");
    let path = |days| {
        let receipt = Receipt {
            command_id: CommandId(command_id.0),
            order_id: OrderId(Uuid::new_v4()),
            producer: stage.producer,
            fingerprint: Fingerprint([1; 32]),
            accepted_at: OffsetDateTime::now_utc() - Duration::days(days),
        };
        format!(
            "/v1/commands/{command_id}?receipt={}",
            receipt::sign(&receipt, &key)
        )
    };
    assert_eq!(stage.get(&path(29)).send().await.text("status"), "queued");
    stage
        .get(&path(31))
        .send()
        .await
        .is_problem(410, "receipt_expired");
}

#[tokio::test]
async fn without_the_database_nothing_is_said_of_a_command() {
    let stage = Stage::new().await;
    let accepted = stage.post("/v1/orders", &order()).send().await;
    stage.database.set_away(true);
    let answer = stage.get(accepted.header("location")).send().await;
    answer.is_problem(503, "database_unavailable");
    assert_eq!(
        (answer.header("retry-after"), &answer.body["retryable"]),
        ("1", &json!(true))
    );
}
