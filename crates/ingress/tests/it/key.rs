//! Idempotency keys: one key, one command, one order.

use orderly_protocol::{Outcome, ids};
use serde_json::json;
use uuid::Uuid;

use crate::stage::{ALL_BUT_READ, Stage, order, order_of};

#[tokio::test]
async fn the_same_request_under_its_key_is_one_command_and_published_once() {
    let stage = Stage::new().await;
    let first = stage
        .post("/v1/orders", &order())
        .key("cart-7")
        .send()
        .await;
    first.is_accepted();
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(
        first.uuid("command_id"),
        ids::command_id(stage.producer, "cart-7").0
    );

    // Quoted or bare, members in another order: the same.
    let body = r#"{"lines":[{"unit_price_minor":1099,"quantity":2,"sku":"CUP"}],"currency":"EUR","customer_id":"c-1"}"#;
    let again = stage
        .post("/v1/orders", &json!({}))
        .body(body)
        .key("\"cart-7\"")
        .send()
        .await;
    again.is_accepted();
    assert_eq!(again.header("idempotent-replayed"), "true");
    for field in ["command_id", "order_id", "accepted_at"] {
        assert_eq!(again.body[field], first.body[field], "{field}");
    }

    let mut worker = stage.worker().await;
    assert_eq!(
        worker.next().await.idempotency_key.as_deref(),
        Some("cart-7")
    );
    let other = stage.post("/v1/orders", &order()).send().await;
    assert_eq!(
        worker.next().await.command_id.0,
        other.uuid("command_id"),
        "the replay was published"
    );
}

#[tokio::test]
async fn a_retry_at_another_process_is_the_same_command_and_order() {
    let stage = Stage::new().await;
    let first = stage
        .post("/v1/orders", &order())
        .key("cart-7")
        .send()
        .await;
    // As after a restart, or an answer that was lost on its way: this process knows nothing of the first request.
    let another = stage.another().await;
    let again = stage
        .request_at(&another, "POST", "/v1/orders")
        .body(&order().to_string())
        .key("cart-7")
        .send()
        .await;
    again.is_accepted();
    assert_eq!(
        (again.uuid("command_id"), again.uuid("order_id")),
        (first.uuid("command_id"), first.uuid("order_id"))
    );
    let mut worker = stage.worker().await;
    let (one, two) = (worker.next().await, worker.next().await);
    assert_eq!(
        (one.command_id, one.order_id, one.fingerprint),
        (two.command_id, two.order_id, two.fingerprint)
    );
}

#[tokio::test]
async fn a_key_belongs_to_its_first_request() {
    let stage = Stage::new().await;
    stage
        .post("/v1/orders", &order())
        .key("cart-7")
        .send()
        .await
        .is_accepted();
    let reused = stage
        .post("/v1/orders", &order_of(3))
        .key("cart-7")
        .send()
        .await;
    reused.is_problem(422, "idempotency_key_reused");
    assert_eq!(reused.body["retryable"], false);
    let elsewhere = format!("/v1/orders/{}", Uuid::new_v4());
    stage
        .put(&elsewhere, &order())
        .key("cart-7")
        .send()
        .await
        .is_problem(422, "idempotency_key_reused");

    // The same key of another producer is another key.
    let stranger = stage.stranger(&ALL_BUT_READ).await;
    let theirs = stage
        .post("/v1/orders", &order_of(3))
        .key("cart-7")
        .send_as(&stranger)
        .await;
    theirs.is_accepted();
    assert_ne!(
        theirs.uuid("command_id"),
        ids::command_id(stage.producer, "cart-7").0
    );
}

#[tokio::test]
async fn the_record_says_whose_key_it_is() {
    let stage = Stage::new().await;
    let another = stage.another().await;
    let body = order().to_string();
    let first = stage
        .request_at(&another, "POST", "/v1/orders")
        .body(&body)
        .key("cart-7")
        .send()
        .await;
    first.is_accepted();
    // This process cannot know of the first request yet.
    stage
        .post("/v1/orders", &order_of(3))
        .key("cart-7")
        .send()
        .await
        .is_accepted();
    let mut worker = stage.worker().await;
    let command = worker.next().await;
    worker.record(&command, Outcome::Applied, 1, None).await;
    let again = stage
        .post("/v1/orders", &order())
        .key("cart-7")
        .send()
        .await;
    assert_eq!(
        (again.status, &again.body["status"]),
        (202, &json!("applied")),
        "{}",
        again.body
    );
    stage
        .post("/v1/orders", &order_of(3))
        .key("cart-7")
        .send()
        .await
        .is_problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_put_is_its_own_key() {
    let stage = Stage::new().await;
    let order_id = Uuid::new_v4();
    let path = format!("/v1/orders/{order_id}");
    let first = stage.put(&path, &order()).send().await;
    first.is_accepted();
    assert_eq!(first.uuid("order_id"), order_id);
    let again = stage.put(&path, &order()).send().await;
    again.is_accepted();
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.uuid("command_id"), first.uuid("command_id"));
    stage
        .put(&path, &order_of(3))
        .send()
        .await
        .is_problem(409, "order_exists");
    // Under a key of its own it is another command, which the worker decides.
    let keyed = stage.put(&path, &order_of(3)).key("k").send().await;
    keyed.is_accepted();
    assert_ne!(keyed.uuid("command_id"), first.uuid("command_id"));
}

#[tokio::test]
async fn without_a_key_every_request_is_a_command_of_its_own() {
    let stage = Stage::new().await;
    let first = stage.post("/v1/orders", &order()).send().await;
    let second = stage.post("/v1/orders", &order()).send().await;
    assert_ne!(first.uuid("command_id"), second.uuid("command_id"));
    assert_ne!(first.uuid("order_id"), second.uuid("order_id"));
    let order_id = Uuid::new_v4();
    let mut named = order();
    named["order_id"] = json!(order_id);
    let named = stage.post("/v1/orders", &named).send().await;
    assert_eq!(named.uuid("order_id"), order_id);
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let stage = Stage::new().await;
    for key in ["", "\"open", "a b", &"k".repeat(256)] {
        stage
            .post("/v1/orders", &order())
            .key(key)
            .send()
            .await
            .is_problem(400, "invalid_header");
    }
    stage
        .post("/v1/orders", &order())
        .key(&"k".repeat(255))
        .send()
        .await
        .is_accepted();
}
