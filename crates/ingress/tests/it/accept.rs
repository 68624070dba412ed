//! What is accepted, what is refused, and what a 202 promises.

use orderly_domain::{OrderId, Version};
use orderly_protocol::api_key::Scope;
use orderly_protocol::fingerprint;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Stage, order};

#[tokio::test]
async fn a_202_names_the_command_that_is_in_its_shard() {
    let stage = Stage::new().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = stage
        .post("/v1/orders", &order())
        .header("traceparent", trace)
        .send()
        .await;
    answer.is_accepted();
    let (command_id, order_id) = (answer.uuid("command_id"), answer.uuid("order_id"));
    assert!(
        answer
            .header("location")
            .starts_with(&format!("/v1/commands/{command_id}?receipt="))
    );
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(
        answer.body["links"]["order"],
        format!("/v1/orders/{order_id}")
    );
    assert_eq!(answer.text("type"), "place");

    let command = stage.worker().await.next().await;
    assert_eq!(
        (command.command_id.0, command.order_id.0),
        (command_id, order_id)
    );
    assert_eq!(
        (command.action_type.as_str(), command.producer),
        ("place", stage.producer)
    );
    assert_eq!(
        serde_json::from_str::<Value>(command.data.get()).unwrap(),
        order()
    );
    assert_eq!(
        command.fingerprint,
        fingerprint("place", None, &order(), None)
    );
    assert_eq!(command.traceparent.as_deref(), Some(trace));
    assert!(command.command().is_ok());
    assert_eq!(
        (
            command.idempotency_key,
            command.expected_version,
            command.reply_to
        ),
        (None, None, None)
    );
}

#[tokio::test]
async fn accepting_touches_no_database() {
    let stage = Stage::new().await;
    // Authenticates once, so that the key is known.
    stage
        .post("/v1/orders", &order())
        .send()
        .await
        .is_accepted();
    stage.database.set_away(true);
    let order_id = Uuid::new_v4();
    stage
        .post("/v1/orders", &order())
        .send()
        .await
        .is_accepted();
    stage
        .put(&format!("/v1/orders/{order_id}"), &order())
        .send()
        .await
        .is_accepted();
    let hold = json!({"type": "hold", "data": {"reason": "fraud"}});
    stage
        .post(&format!("/v1/orders/{order_id}/commands"), &hold)
        .key("k")
        .send()
        .await
        .is_accepted();
    // A replay would like to show its outcome, and does without.
    let again = stage
        .post(&format!("/v1/orders/{order_id}/commands"), &hold)
        .key("k")
        .send()
        .await;
    again.is_accepted();
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn commands_of_one_order_are_in_its_shard_in_the_order_of_their_answers() {
    let stage = Stage::new().await;
    let order_id = Uuid::new_v4();
    let mut accepted = vec![
        stage
            .put(&format!("/v1/orders/{order_id}"), &order())
            .send()
            .await
            .uuid("command_id"),
    ];
    for key in 0..20 {
        let note = json!({"type": "annotate", "data": {"key": "n", "value": key.to_string()}});
        let path = format!("/v1/orders/{order_id}/commands");
        accepted.push(stage.post(&path, &note).send().await.uuid("command_id"));
    }
    let mut worker = stage.worker().await;
    for command_id in accepted {
        assert_eq!(worker.next().await.command_id.0, command_id);
    }
}

#[tokio::test]
async fn every_fault_of_a_command_is_named_at_once() {
    let stage = Stage::new().await;
    let body = json!({
        "customer_id": 7,
        "currency": "EUR",
        "lines": [
            {"sku": "CUP", "quantity": "two", "unit_price_minor": 1.5},
            {"quantity": 1, "unit_price_minor": 9_007_199_254_740_992_i64},
        ],
        "colour": "red",
    });
    let answer = stage.post("/v1/orders", &body).send().await;
    answer.is_problem(422, "invalid_command");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/colour",
            "/customer_id",
            "/lines/0/quantity",
            "/lines/0/unit_price_minor",
            "/lines/1/sku",
            "/lines/1/unit_price_minor",
        ]
    );

    // Rules that need no order are checked here too.
    let line = json!({"sku": "CUP", "quantity": -1, "unit_price_minor": 5});
    let body = json!({"type": "amend", "data": {"lines": [line, line]}});
    let answer = stage
        .post(&format!("/v1/orders/{}/commands", Uuid::new_v4()), &body)
        .send()
        .await;
    answer.is_problem(422, "invalid_command");
    assert!(
        answer.pointers().contains(&"/data/lines/0/quantity"),
        "{}",
        answer.body
    );
    assert!(
        answer
            .pointers()
            .iter()
            .any(|pointer| pointer.starts_with("/data/lines/1")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn what_cannot_be_a_command_is_refused_and_not_published() {
    let stage = Stage::new().await;
    let commands = format!("/v1/orders/{}/commands", Uuid::new_v4());
    for (body, pointer) in [
        (json!({"type": "explode", "data": {}}), "/type"),
        (json!({"data": {}}), "/type"),
        (
            json!({"type": "hold", "data": {"reason": "x", "why": "y"}}),
            "/data/why",
        ),
        (json!({"type": "hold"}), "/data/reason"),
        (
            json!({"type": "refund", "data": {"amount_minor": 9_007_199_254_740_992_i64, "reason": "x"}}),
            "/data/amount_minor",
        ),
        (
            json!({"type": "refund", "data": {"amount_minor": 0, "reason": "x"}}),
            "/data/amount_minor",
        ),
        (json!([]), ""),
        (json!("place"), ""),
    ] {
        let answer = stage.post(&commands, &body).send().await;
        answer.is_problem(422, "invalid_command");
        assert!(
            answer.pointers().contains(&pointer),
            "{body}: {}",
            answer.body
        );
        assert_eq!(answer.body["retryable"], false);
    }
    stage
        .get("/v1/orders")
        .body("{")
        .send()
        .await
        .is_problem(405, "method_not_allowed");
    let raw = |body: &str| stage.post("/v1/orders", &json!({})).body(body);
    raw("{\"customer_id\": ")
        .send()
        .await
        .is_problem(400, "malformed_json");
    raw("{\"note\":\"a\",\"note\":\"b\"}")
        .send()
        .await
        .is_problem(400, "malformed_json");
    raw(&format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)))
        .send()
        .await
        .is_problem(400, "malformed_json");
    raw(&format!("\"{}\"", "x".repeat(300_000)))
        .send()
        .await
        .is_problem(413, "payload_too_large");
    for path in ["/v1/orders/17", "/v1/orders/%FF", "/v1/orders/%00"] {
        stage
            .put(path, &order())
            .send()
            .await
            .is_problem(400, "invalid_parameter");
    }
    stage
        .post("/v1/orders/17/commands", &json!({}))
        .send()
        .await
        .is_problem(400, "invalid_parameter");

    // The next command in the shard is the next good one.
    let good = stage.post("/v1/orders", &order()).send().await;
    assert_eq!(
        stage.worker().await.next().await.command_id.0,
        good.uuid("command_id")
    );
}

#[tokio::test]
async fn the_largest_order_is_accepted() {
    let stage = Stage::new().await;
    let line = |n: usize| json!({"sku": format!("SKU-{n:0>50}"), "quantity": 1_000_000, "unit_price_minor": n});
    let mut body = order();
    body["lines"] = (0..1_000).map(line).collect();
    let answer = stage.post("/v1/orders", &body).send().await;
    answer.is_accepted();
    let command = stage.worker().await.next().await;
    assert_eq!(command.command_id.0, answer.uuid("command_id"));
    assert_eq!(
        serde_json::from_str::<Value>(command.data.get()).unwrap(),
        body
    );
}

#[tokio::test]
async fn only_a_key_with_the_right_scope_may_send() {
    let stage = Stage::new().await;
    let nobody = stage.post("/v1/orders", &order()).send_as_nobody().await;
    nobody.is_problem(401, "unauthenticated");
    assert!(nobody.header("www-authenticate").starts_with("Bearer"));
    // Refused before its body is looked at.
    stage
        .post("/v1/orders", &json!(1))
        .send_as_nobody()
        .await
        .is_problem(401, "unauthenticated");

    let reader = stage.stranger(&[Scope::OrdersRead]).await;
    let answer = stage.post("/v1/orders", &order()).send_as(&reader).await;
    answer.is_problem(403, "forbidden");
    assert!(answer.text("detail").contains("commands:write"));

    let commands = format!("/v1/orders/{}/commands", Uuid::new_v4());
    let payment = Uuid::new_v4();
    let record = json!({"type": "record_payment", "data": {
        "payment_id": payment, "result": "captured", "amount_minor": 5, "reference": "ch_1",
    }});
    let refunded =
        json!({"type": "record_refund", "data": {"refund_id": payment, "result": "refunded"}});
    let cancel = json!({"type": "cancel", "data": {"reason": "changed my mind"}});
    for command in [&record, &refunded] {
        let answer = stage.post(&commands, command).send().await;
        answer.is_problem(403, "forbidden");
        assert!(answer.text("detail").contains("payments:write"));
    }
    let payments = stage.stranger(&[Scope::PaymentsWrite]).await;
    stage
        .post(&commands, &record)
        .send_as(&payments)
        .await
        .is_accepted();
    stage
        .post(&commands, &refunded)
        .send_as(&payments)
        .await
        .is_accepted();
    stage
        .post(&commands, &cancel)
        .send_as(&payments)
        .await
        .is_problem(403, "forbidden");
    stage
        .post("/v1/orders", &order())
        .send_as(&payments)
        .await
        .is_problem(403, "forbidden");
}

#[tokio::test]
async fn if_match_travels_with_the_command_and_not_with_a_place() {
    let stage = Stage::new().await;
    let order_id = Uuid::new_v4();
    let commands = format!("/v1/orders/{order_id}/commands");
    let hold = json!({"type": "hold", "data": {"reason": "fraud"}});
    stage
        .post(&commands, &hold)
        .header("if-match", "\"v7\"")
        .send()
        .await
        .is_accepted();
    let command = stage.worker().await.next().await;
    assert_eq!(command.expected_version, Some(Version(7)));
    let expected = fingerprint(
        "hold",
        Some(OrderId(order_id)),
        &hold["data"],
        Some(Version(7)),
    );
    assert_eq!(command.fingerprint, expected);

    for odd in ["7", "\"7\"", "W/\"v7\"", "*", "\"v7\", \"v8\""] {
        let answer = stage
            .post(&commands, &hold)
            .header("if-match", odd)
            .send()
            .await;
        answer.is_problem(400, "invalid_header");
    }
    let place = json!({"type": "place", "data": order()});
    for request in [
        stage.post("/v1/orders", &order()),
        stage.put(&format!("/v1/orders/{order_id}"), &order()),
        stage.post(&commands, &place),
    ] {
        request
            .header("if-match", "\"v1\"")
            .send()
            .await
            .is_problem(400, "invalid_header");
    }
}

#[tokio::test]
async fn a_stopping_ingress_answers_for_everything_it_accepted() {
    let stage = Stage::new().await;
    let requests: Vec<_> = (0..64)
        .map(|_| stage.post("/v1/orders", &order()).try_send())
        .collect();
    let stop = async {
        // Somewhere amid them.
        tokio::task::yield_now().await;
        stage.ingress.token.cancel();
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(requests), stop);
    let mut accepted: Vec<Uuid> = Vec::new();
    for answer in answers.into_iter().flatten() {
        answer.is_accepted();
        accepted.push(answer.uuid("command_id"));
    }
    let another = stage.another().await;
    let last = stage
        .request_at(&another, "POST", "/v1/orders")
        .body(&order().to_string())
        .send()
        .await;
    let (mut worker, mut stored) = (stage.worker().await, Vec::new());
    loop {
        let command_id = worker.next().await.command_id.0;
        if command_id == last.uuid("command_id") {
            break;
        }
        stored.push(command_id);
    }
    accepted.sort_unstable();
    stored.sort_unstable();
    assert_eq!(accepted, stored);
    stage.ingress.ended().await;
}
