//! The broker away, silent, full, or with another layout of its shards.

use orderly_broker::topology;
use serde_json::json;
use uuid::Uuid;

use crate::stage::{Stage, order, until};
use crate::worker::Worker;

#[tokio::test]
async fn without_the_broker_a_command_is_refused_and_its_retry_is_accepted() {
    let stage = Stage::new().await;
    stage.broker.set_away(true);
    let place = || stage.post("/v1/orders", &order()).key("k");
    until("the ingress noticed", || async {
        let answer = place().send().await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        answer.text("code") == "broker_unavailable"
    })
    .await;
    let refused = place().send().await;
    refused.is_problem(503, "broker_unavailable");
    assert_eq!(
        (refused.header("retry-after"), &refused.body["retryable"]),
        ("1", &json!(true))
    );
    stage.broker.set_away(false);
    until("accepted again", || async {
        place().send().await.status == 202
    })
    .await;
    let command = stage.worker().await.next().await;
    assert_eq!(command.idempotency_key.as_deref(), Some("k"));
}

#[tokio::test]
async fn an_unknown_publish_is_said_to_be_unknown() {
    // A stage each: what waits behind an unknown publish of its shard was certainly not sent.
    let silenced = async || {
        let stage = Stage::new().await;
        stage.broker.set_silent();
        stage
    };
    let (one, two, three) = tokio::join!(silenced(), silenced(), silenced());
    let path = format!("/v1/orders/{}", Uuid::new_v4());
    let (keyed, put, bare) = tokio::join!(
        one.post("/v1/orders", &order()).key("k").send(),
        two.put(&path, &order()).send(),
        three.post("/v1/orders", &order()).send(),
    );
    for answer in [&keyed, &put, &bare] {
        answer.is_problem(503, "outcome_unknown");
    }
    for answer in [&keyed, &put] {
        assert_eq!(answer.body["retryable"], true);
        assert!(
            answer
                .text("detail")
                .contains("sending the same request again is safe")
        );
    }
    assert_eq!(bare.body["retryable"], false);
    let location = bare.header("location");
    assert!(
        location.starts_with("/v1/commands/") && !location.contains("receipt"),
        "{location}"
    );
    assert!(bare.text("detail").contains(location));
}

#[tokio::test]
async fn a_full_shard_refuses() {
    let stage = Stage::with_max_length(4).await;
    let mut accepted = Vec::new();
    let refused = loop {
        let answer = stage.post("/v1/orders", &order()).send().await;
        if answer.status != 202 {
            break answer;
        }
        accepted.push(answer.uuid("command_id"));
        assert!(accepted.len() < 1_000, "the shard is never full");
    };
    refused.is_problem(503, "shard_full");
    assert_eq!(
        (refused.header("retry-after"), &refused.body["retryable"]),
        ("1", &json!(true))
    );
    // What was accepted is there, and the shard takes commands again once some are gone.
    let mut worker = stage.worker().await;
    for command_id in accepted {
        assert_eq!(worker.next().await.command_id.0, command_id);
    }
    until("room again", || async {
        stage.post("/v1/orders", &order()).send().await.status == 202
    })
    .await;
}

#[tokio::test]
async fn a_returned_command_goes_to_the_new_generation() {
    let stage = Stage::new().await;
    stage
        .post("/v1/orders", &order())
        .send()
        .await
        .is_accepted();
    topology::declare_generation(&stage.connection, 2, 1, 1_000)
        .await
        .unwrap();
    // The ingress learns of it only by its publish, which comes back: no notification.
    stage
        .env
        .psql(&["alter table generations disable trigger generations_notify"])
        .await
        .unwrap();
    stage
        .env
        .psql(&[
            "update generations set state = 'draining' where generation = 1",
            "insert into generations (generation, shard_count, prefetch, state) values (2, 1, 32, 'current')",
        ])
        .await
        .unwrap();
    let vhost = stage.env.vhost();
    stage
        .env
        .rabbitmqctl(&["delete_queue", "orders.g1.000", "--vhost", vhost])
        .await
        .unwrap();
    let answer = stage.post("/v1/orders", &order()).send().await;
    answer.is_accepted();
    let command = Worker::start(&stage.env, 2).await.next().await;
    assert_eq!(command.command_id.0, answer.uuid("command_id"));
}

#[tokio::test]
async fn without_a_generation_commands_are_refused_until_there_is_one() {
    let stage = Stage::new().await;
    stage
        .post("/v1/orders", &order())
        .send()
        .await
        .is_accepted();
    stage
        .sql("update generations set state = 'draining' where generation = 1")
        .await;
    let vhost = stage.env.vhost();
    stage
        .env
        .rabbitmqctl(&["delete_queue", "orders.g1.000", "--vhost", vhost])
        .await
        .unwrap();
    let refused = stage.post("/v1/orders", &order()).send().await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.body["retryable"], true);
    topology::declare_generation(&stage.connection, 2, 1, 1_000)
        .await
        .unwrap();
    stage.sql("insert into generations (generation, shard_count, prefetch, state) values (2, 1, 32, 'current')").await;
    until("accepted again", || async {
        stage.post("/v1/orders", &order()).send().await.status == 202
    })
    .await;
}
