//! Dead letters: seen whole, resolved once, and what they became is in the queue of its order.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ConnectionProperties};
use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::{self, Value, json};
use orderly_protocol::{Envelope, decode_commands};
use reqwest::{Method, StatusCode};

use crate::support::{Dashboard, Fixture, answer, insert_key};

const QUEUE: &str = "orders.g1.000";
const ORDER: &str = "00000000-0000-0000-0000-000000000001";

/// A generation of one shard. Its queue is a plain one, which can be looked into by `basic.get`.
async fn queue(fixture: &Fixture) {
    let channel = channel(fixture).await;
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(QUEUE.into(), durable, FieldTable::default());
    declared.await.unwrap();
    let (exchange, key) = ("orders.commands".into(), "g1.000".into());
    let bound = QueueBindOptions::default();
    channel
        .queue_bind(QUEUE.into(), exchange, key, bound, FieldTable::default())
        .await
        .unwrap();
    fixture.store.create_first_generation(1, 32).await.unwrap();
}

async fn channel(fixture: &Fixture) -> Channel {
    let properties = ConnectionProperties::default();
    let connection = lapin::Connection::connect(&fixture.env.amqp_url, properties).await;
    connection.unwrap().create_channel().await.unwrap()
}

/// A dead letter as a worker keeps it; `hex` are its bytes.
async fn keep(fixture: &Fixture, hex: &str) -> i64 {
    let keep = format!(
        "insert into dead_letters (body_hash, body, headers, reason, detail, generation, shard, received_at)
         values (sha256('\\x{hex}'), '\\x{hex}', '{{\"schema\": \"order-commands.v1\"}}', 'unreadable', 'not JSON', 1, 0, now())"
    );
    fixture.env.psql(&[&keep]).await.unwrap();
    let newest = fixture
        .env
        .psql(&["select max(dead_letter_id) from dead_letters"]);
    newest.await.unwrap().trim().parse().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Everything that stands in the shard's queue, which is empty then.
async fn queued(fixture: &Fixture) -> Vec<Envelope> {
    let channel = channel(fixture).await;
    let mut envelopes = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(got) = channel.basic_get(QUEUE.into(), options).await.unwrap() {
        let commands = decode_commands(&got.delivery.data).unwrap();
        envelopes.extend(
            commands
                .iter()
                .map(|raw| Envelope::decode(raw.get().as_bytes()).unwrap()),
        );
    }
    envelopes
}

async fn post(dashboard: &Dashboard, path: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("/v1/dead-letters/{path}");
    answer(dashboard.request(Method::POST, &path).json(&body)).await
}

fn cancel(reason: &str) -> Value {
    json!({"order_id": ORDER, "type": "cancel", "data": {"reason": reason}})
}

async fn audited(dashboard: &Dashboard) -> Vec<String> {
    let (_, page) = dashboard.get("/v1/audit?action=dead&after=0").await;
    let told = page["entries"].as_array().unwrap().iter().map(|entry| {
        let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        [text("action"), text("target"), text("reason"), text("code")].join(" ")
    });
    told.collect()
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_bytes_and_headers() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let (text, binary) = (
        keep(&fixture, &hex(b"hello")).await,
        keep(&fixture, "00ff").await,
    );
    let (_, page) = dashboard.get("/v1/dead-letters?limit=1").await;
    assert_eq!(page["dead_letters"][0]["dead_letter_id"], binary);
    assert!(page["dead_letters"][0].get("body_text").is_none());
    let cursor = page["next_cursor"].as_i64().unwrap();
    let (_, page) = dashboard
        .get(&format!("/v1/dead-letters?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(
        (
            &page["dead_letters"][0]["dead_letter_id"],
            &page["next_cursor"]
        ),
        (&text.into(), &Value::Null)
    );

    let (_, shown) = dashboard.get(&format!("/v1/dead-letters/{text}")).await;
    assert_eq!(
        (&shown["body_text"], &shown["state"]),
        (&json!("hello"), &json!("open"))
    );
    assert_eq!(shown["headers"], json!({"schema": "order-commands.v1"}));
    let (_, shown) = dashboard.get(&format!("/v1/dead-letters/{binary}")).await;
    assert_eq!(
        (&shown["body_text"], &shown["bytes"]),
        (&Value::Null, &json!(2))
    );
    assert_eq!(
        STANDARD
            .decode(shown["body_base64"].as_str().unwrap())
            .unwrap(),
        [0, 0xff]
    );
    assert_eq!(
        dashboard.get("/v1/dead-letters/99").await.0,
        StatusCode::NOT_FOUND
    );
    let key = insert_key(&fixture.store, &[Scope::OrdersRead, Scope::OpsRead]).await;
    let discard =
        dashboard.request_without_key(Method::POST, &format!("/v1/dead-letters/{text}/discard"));
    let discard = discard.bearer_auth(key).json(&json!({"reason": "x"}));
    assert_eq!(answer(discard).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_repair_is_one_command_however_often_it_is_sent() {
    let fixture = Fixture::new().await;
    queue(&fixture).await;
    let dashboard = fixture.start().await;
    let id = keep(&fixture, &hex(b"{}")).await;
    let edit = format!("{id}/edit");
    let body = |reason: &str, dry_run: bool| json!({"command": cancel(reason), "reason": "as the shop says", "dry_run": dry_run});

    let (status, dry) = post(&dashboard, &edit, body("lost", true)).await;
    assert_eq!(
        (status, &dry["dead_letter"]["state"]),
        (StatusCode::OK, &json!("open"))
    );
    assert_eq!(queued(&fixture).await.len(), 0);

    let (status, done) = post(&dashboard, &edit, body("lost", false)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{done}");
    assert_eq!(done["dead_letter"]["state"], "repaired");
    let (status, problem) = post(&dashboard, &edit, body("other", false)).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("dead_letter_resolved"))
    );
    // As if the process had died after the confirm and before the record.
    fixture
        .env
        .psql(&["update dead_letters set resolution = null, resolved_at = null, resolved_by = null, resolve_reason = null, command_ids = '{}'"])
        .await
        .unwrap();
    post(&dashboard, &edit, body("lost", false)).await;

    let sent = queued(&fixture).await;
    assert_eq!(sent.len(), 2);
    assert_eq!(
        sent[0].command_id, sent[1].command_id,
        "the second is a duplicate to the worker"
    );
    assert_eq!(sent[0].fingerprint, sent[1].fingerprint);
    assert_eq!(sent[0].data.get(), r#"{"reason":"lost"}"#);
    assert_eq!(
        dry["commands"][0]["command_id"],
        json!(sent[0].command_id.0)
    );
    let (_, shown) = dashboard.get(&format!("/v1/dead-letters/{id}")).await;
    assert_eq!(shown["command_ids"], json!([sent[0].command_id.0]));
    assert_eq!(
        (&shown["resolved_by"], &shown["resolve_reason"]),
        (&json!("test"), &json!("as the shop says"))
    );
    let target = format!("dead.repair dead_letter/{id} as the shop says");
    assert_eq!(
        audited(&dashboard).await,
        [
            format!("{target} -"),
            format!("{target} dead_letter_resolved"),
            format!("{target} -")
        ]
    );
}

#[tokio::test]
async fn an_envelope_is_sent_as_it_is_repaired_or_as_it_came() {
    let fixture = Fixture::new().await;
    queue(&fixture).await;
    let dashboard = fixture.start().await;
    let (broken, whole) = (
        keep(&fixture, &hex(b"{\"order_id\"")).await,
        keep(&fixture, &hex(b"[]")).await,
    );
    let (_, dry) = post(
        &dashboard,
        &format!("{broken}/edit"),
        json!({"command": cancel("x"), "reason": "r", "dry_run": true}),
    )
    .await;
    let mut envelope = dry["commands"][0].clone();
    envelope["command_id"] = json!("00000000-0000-0000-0000-0000000000c1");
    let (status, _) = post(
        &dashboard,
        &format!("{broken}/edit"),
        json!({"command": envelope, "reason": "r"}),
    )
    .await;
    assert_eq!(status, StatusCode::ACCEPTED);

    let (status, problem) = post(&dashboard, &format!("{whole}/retry"), json!({})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("dead_letter_unreadable"))
    );
    // As an earlier version kept them: an envelope, and a message of two.
    let mut other = envelope.clone();
    other["command_id"] = json!("00000000-0000-0000-0000-0000000000c2");
    let one = keep(&fixture, &hex(envelope.to_string().as_bytes())).await;
    let two = keep(
        &fixture,
        &hex(json!({"commands": [envelope, other]})
            .to_string()
            .as_bytes()),
    )
    .await;
    for id in [one, two] {
        let (status, done) = post(
            &dashboard,
            &format!("{id}/retry"),
            json!({"reason": "upgraded"}),
        )
        .await;
        assert_eq!(
            (status, &done["dead_letter"]["state"]),
            (StatusCode::ACCEPTED, &json!("retried"))
        );
    }
    let ids: Vec<_> = queued(&fixture)
        .await
        .iter()
        .map(|sent| sent.command_id.0.as_u128())
        .collect();
    assert_eq!(ids, [0xc1, 0xc1, 0xc1, 0xc2]);
}

#[tokio::test]
async fn a_discarded_one_stays_and_comes_back_when_its_bytes_do() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let id = keep(&fixture, &hex(b"{}")).await;
    let (status, done) = post(
        &dashboard,
        &format!("{id}/discard"),
        json!({"reason": "a test"}),
    )
    .await;
    assert_eq!(
        (status, &done["dead_letter"]["state"]),
        (StatusCode::OK, &json!("discarded"))
    );
    let listed = async |state: &str| {
        let (_, page) = dashboard
            .get(&format!("/v1/dead-letters?state={state}"))
            .await;
        page["dead_letters"].as_array().unwrap().len()
    };
    assert_eq!(
        (
            listed("open").await,
            listed("resolved").await,
            listed("all").await
        ),
        (0, 1, 1)
    );
    assert_eq!(fixture.store.dead_letters().await.unwrap(), 0);
    let (status, _) = post(&dashboard, &format!("{id}/retry"), json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(audited(&dashboard).await.len(), 2);
}

#[tokio::test]
async fn what_could_not_be_applied_is_not_sent_for_a_dead_letter() {
    let fixture = Fixture::new().await;
    queue(&fixture).await;
    let dashboard = fixture.start().await;
    let id = keep(&fixture, &hex(b"{}")).await;
    let edit = format!("{id}/edit");
    for (command, pointer) in [
        (
            json!({"type": "cancel", "data": {"reason": "x"}}),
            "/command/order_id",
        ),
        (json!({"order_id": ORDER, "type": "fly"}), "/command/type"),
        (
            json!({"order_id": ORDER, "type": "cancel", "data": {"why": "x"}}),
            "/command/data/why",
        ),
        (
            json!({"order_id": ORDER, "type": "deliver", "idempotency_key": "k"}),
            "/command/idempotency_key",
        ),
        (json!({"command_id": ORDER}), "/command"),
    ] {
        let (status, problem) = post(
            &dashboard,
            &edit,
            json!({"command": command, "reason": "r"}),
        )
        .await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{command}: {problem}"
        );
        let pointers: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["pointer"].clone())
            .collect();
        assert!(
            pointers.contains(&json!(pointer)),
            "{command}: {pointers:?}"
        );
    }
    for body in [
        json!({"command": cancel("x")}),
        json!({"command": cancel("x"), "reason": ""}),
        json!({"reason": "r"}),
    ] {
        assert_eq!(
            post(&dashboard, &edit, body).await.0,
            StatusCode::BAD_REQUEST
        );
    }
    let payment = json!({"order_id": ORDER, "type": "record_refund", "data": {"refund_id": ORDER, "result": "refunded"}});
    let key = insert_key(&fixture.store, &[Scope::OpsWrite, Scope::CommandsWrite]).await;
    let request = dashboard.request_without_key(Method::POST, &format!("/v1/dead-letters/{edit}"));
    let request = request
        .bearer_auth(key)
        .json(&json!({"command": payment, "reason": "r"}));
    assert_eq!(answer(request).await.0, StatusCode::FORBIDDEN);
    assert_eq!(queued(&fixture).await.len(), 0);
    assert_eq!(audited(&dashboard).await, [] as [String; 0]);
}

#[tokio::test]
async fn while_the_broker_is_away_a_dead_letter_stays_open() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let id = keep(&fixture, &hex(b"{}")).await;
    // No generation takes commands.
    let (status, problem) = post(
        &dashboard,
        &format!("{id}/edit"),
        json!({"command": cancel("x"), "reason": "r"}),
    )
    .await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(fixture.store.dead_letters().await.unwrap(), 1);
    let code = problem["code"].as_str().unwrap();
    assert_eq!(
        audited(&dashboard).await,
        [format!("dead.repair dead_letter/{id} r {code}")]
    );
    let body: Value = serde_json::from_str("{}").unwrap();
    assert_eq!(
        post(&dashboard, "99/retry", body).await.0,
        StatusCode::NOT_FOUND
    );
}
