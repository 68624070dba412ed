//! Many commands in one request: each line has its own answer, and order holds within the request.

use orderly_protocol::api_key::Scope;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Stage, order};

fn place(order_id: Uuid) -> String {
    json!({"order_id": order_id, "type": "place", "data": order()}).to_string()
}

fn note(order_id: Uuid, number: usize) -> String {
    let data = json!({"key": "n", "value": number.to_string()});
    json!({"order_id": order_id, "type": "annotate", "data": data, "idempotency_key": format!("{order_id}/{number}")})
        .to_string()
}

/// `queued`, or the code of the problem.
fn verdicts(answers: &[Value]) -> Vec<&str> {
    answers
        .iter()
        .map(|answer| {
            let code = answer.get("code").unwrap_or(&answer["status"]);
            code.as_str().unwrap()
        })
        .collect()
}

#[tokio::test]
async fn each_line_has_its_answer_in_order() {
    let stage = Stage::new().await;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let lines = [
        place(one),
        "{\"type\": oops}".to_owned(),
        String::new(),
        json!({"type": "place", "data": order(), "idempotency_key": "k"}).to_string(),
        json!({"type": "hold", "data": {"reason": "fraud"}}).to_string(),
        json!({"order_id": two, "type": "fly", "if_match": 7, "idempotency_key": "a b"}).to_string(),
        json!({"order_id": one, "type": "hold", "data": {"reason": "fraud"}, "expected_version": 1})
            .to_string(),
    ];
    let answers = stage.batch(&lines).send_batch().await;
    let expected = [
        "queued",
        "malformed_json",
        "queued",
        "invalid_command",
        "invalid_command",
        "queued",
    ];
    assert_eq!(verdicts(&answers), expected);
    assert_eq!(answers[0]["order_id"], one.to_string());
    assert_eq!(answers[3]["errors"][0]["pointer"], "/order_id");
    let pointers: Vec<_> = answers[4]["errors"].as_array().unwrap().iter().collect();
    let pointers: Vec<_> = pointers.iter().map(|fault| &fault["pointer"]).collect();
    assert_eq!(pointers, ["/idempotency_key", "/type", "/if_match"]);
    assert!(answers[4]["request_id"].is_string());

    let mut worker = stage.worker().await;
    let first = worker.next().await;
    assert_eq!(answers[0]["command_id"], first.command_id.to_string());
    let second = worker.next().await;
    assert_eq!(answers[2]["order_id"], second.order_id.to_string());
    assert_eq!(second.idempotency_key.as_deref(), Some("k"));
    let third = worker.next().await;
    assert_eq!(
        (third.order_id.0, third.action_type.as_str()),
        (one, "hold")
    );
    assert_eq!(third.expected_version.map(|version| version.0), Some(1));

    // The receipt of a line is as good as that of a single request.
    let found = stage
        .get(answers[0]["links"]["self"].as_str().unwrap())
        .send()
        .await;
    assert_eq!((found.status, found.text("status")), (200, "queued"));
}

#[tokio::test]
async fn lines_of_one_order_are_in_its_shard_in_their_order() {
    let stage = Stage::new().await;
    let order_id = Uuid::new_v4();
    // More than two messages hold.
    let lines: Vec<_> = (0..300).map(|number| note(order_id, number)).collect();
    let answers = stage.batch(&lines).send_batch().await;
    assert!(
        verdicts(&answers)
            .iter()
            .all(|verdict| *verdict == "queued")
    );
    let mut worker = stage.worker().await;
    for answer in answers {
        assert_eq!(
            answer["command_id"],
            worker.next().await.command_id.to_string()
        );
    }
}

#[tokio::test]
async fn what_follows_a_refused_line_of_its_order_is_not_accepted() {
    let stage = Stage::new().await;
    let (broken, sound) = (Uuid::new_v4(), Uuid::new_v4());
    let lines = [
        json!({"order_id": broken, "type": "place", "data": {"lines": []}}).to_string(),
        note(broken, 1),
        place(sound),
        note(broken, 2),
        note(sound, 1),
    ];
    let answers = stage.batch(&lines).send_batch().await;
    let expected = [
        "invalid_command",
        "preceding_not_accepted",
        "queued",
        "preceding_not_accepted",
        "queued",
    ];
    assert_eq!(verdicts(&answers), expected);
    assert_eq!(
        (&answers[1]["status"], &answers[1]["retryable"]),
        (&json!(424), &json!(true))
    );
    let mut worker = stage.worker().await;
    for _ in 0..2 {
        assert_eq!(worker.next().await.order_id.0, sound);
    }
    // The same lines again, mended, are taken: nothing of them was.
    let mended = [place(broken), note(broken, 1), note(broken, 2)];
    let answers = stage.batch(&mended).send_batch().await;
    assert_eq!(verdicts(&answers), ["queued"; 3]);
    assert!(answers[1].get("idempotent_replayed").is_none());
}

#[tokio::test]
async fn what_follows_a_line_with_a_reused_key_is_not_accepted() {
    let stage = Stage::new().await;
    let order_id = Uuid::new_v4();
    stage.batch(&[note(order_id, 0)]).send_batch().await;
    let other = note(order_id, 0).replace("\"0\"", "\"other\"");
    let answers = stage.batch(&[other, note(order_id, 1)]).send_batch().await;
    assert_eq!(
        verdicts(&answers),
        ["idempotency_key_reused", "preceding_not_accepted"]
    );
}

#[tokio::test]
async fn a_batch_sent_again_is_the_same_commands() {
    let stage = Stage::new().await;
    let order_id = Uuid::new_v4();
    let lines: Vec<_> = (0..5).map(|number| note(order_id, number)).collect();
    let first = stage.batch(&lines).send_batch().await;
    let mut more = lines.clone();
    more.push(note(order_id, 5));
    let second = stage.batch(&more).send_batch().await;
    for (before, after) in first.iter().zip(&second) {
        assert_eq!(before["command_id"], after["command_id"]);
        assert_eq!(after["idempotent_replayed"], true);
    }
    // A key means one request, by whichever route it comes.
    let single = json!({"type": "annotate", "data": {"key": "n", "value": "0"}});
    let path = format!("/v1/orders/{order_id}/commands");
    let again = stage
        .post(&path, &single)
        .key(&format!("{order_id}/0"))
        .send()
        .await;
    again.is_accepted();
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = note(order_id, 0).replace("\"0\"", "\"other\"");
    let answers = stage.batch(&[other]).send_batch().await;
    assert_eq!(verdicts(&answers), ["idempotency_key_reused"]);

    let mut worker = stage.worker().await;
    for answer in second {
        assert_eq!(
            answer["command_id"],
            worker.next().await.command_id.to_string()
        );
    }
}

#[tokio::test]
async fn a_batch_is_refused_whole_only_for_what_concerns_it_whole() {
    let stage = Stage::new().await;
    let lines = [place(Uuid::new_v4())];
    stage
        .batch(&lines)
        .key("k")
        .send()
        .await
        .is_problem(400, "invalid_header");
    let if_match = stage.batch(&lines).header("if-match", "\"v1\"");
    if_match.send().await.is_problem(400, "invalid_header");
    let stranger = stage.stranger(&[Scope::OrdersRead]).await;
    stage
        .batch(&lines)
        .send_as(&stranger)
        .await
        .is_problem(403, "forbidden");
    let as_json = stage.post("/v1/commands/batch", &json!([]));
    as_json
        .send()
        .await
        .is_problem(415, "unsupported_media_type");
    let large = vec!["x".repeat(1_000); 300];
    stage
        .batch(&large)
        .send()
        .await
        .is_problem(413, "payload_too_large");
    assert!(
        stage
            .batch(&[String::new(), " ".to_owned()])
            .send_batch_text()
            .await
            .is_empty()
    );

    // What a key may not do concerns its line alone.
    let record = json!({"order_id": Uuid::new_v4(), "type": "record_payment",
        "data": {"payment_id": Uuid::new_v4(), "result": "captured", "amount_minor": 1, "reference": "r"}});
    let answers = stage
        .batch(&[record.to_string(), place(Uuid::new_v4())])
        .send_batch()
        .await;
    assert_eq!(verdicts(&answers), ["forbidden", "queued"]);
}
