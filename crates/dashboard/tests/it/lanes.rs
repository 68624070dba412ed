//! Lanes as operators see them, and what they send to act on them. What becomes of it is the worker's, and tested there.

use orderly_broker::topology;
use orderly_domain::{CommandId, OrderId};
use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::{Value, json};
use orderly_protocol::{Control, ControlAct, Envelope, ShardId, decode_commands, ids};
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use crate::support::{Dashboard, Fixture, LIMIT, answer, insert_key, until};

const HEAD: CommandId = CommandId(Uuid::from_u128(0xc1));
const BEHIND: CommandId = CommandId(Uuid::from_u128(0xc2));

fn order(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

async fn set(fixture: &Fixture) -> Dashboard {
    topology::declare_generation(&fixture.connection, 1, 1, topology::DEFAULT_MAX_LENGTH)
        .await
        .unwrap();
    fixture.store.create_first_generation(1, 32).await.unwrap();
    fixture.start().await
}

/// A lane of two commands; the head's id is that of the order with `c1` in its top.
async fn park(fixture: &Fixture, n: u128, reason: &str, detail: &str) {
    let (order, first) = (order(n), head(n));
    let second = CommandId(Uuid::from_u128(first.0.as_u128() + 1));
    let data = r#"{"key":"k","value":"v"}"#;
    let envelope = |id: CommandId, action: &str| {
        format!(
            r#"{{"command_id":"{id}","order_id":"{order}","type":"{action}","data":{data},"producer":"{order}","fingerprint":"{}","accepted_at":"2026-11-23T11:00:00.000000Z"}}"#,
            "0".repeat(64)
        )
    };
    let entry = |position: i32, id: CommandId, action: &str| {
        format!(
            "insert into lane_entries values ('{order}', {position}, '{id}', '{order}', '{action}', sha256('x'),
             convert_to('{}', 'UTF8'), now(), now())",
            envelope(id, action)
        )
    };
    let lane = format!(
        "insert into lanes (order_id, reason, detail, parked_at)
         values ('{order}', '{reason}', '{detail}', now() - interval '90 s')"
    );
    let statements = [
        lane,
        entry(1, first, "teleport"),
        entry(2, second, "annotate"),
    ];
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    fixture.env.psql(&statements).await.unwrap();
}

fn head(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(0xc1 + 0x1000 * (n - 1)))
}

/// The next control command in the queue.
async fn sent(fixture: &Fixture) -> (Envelope, Control) {
    let shard = ShardId {
        generation: 1,
        shard: 0,
    };
    let mut subscription = fixture.connection.subscribe_shard(&shard, 1).await.unwrap();
    let next = tokio::time::timeout(LIMIT, subscription.next()).await;
    let delivery = next.expect("a control command is sent").unwrap().unwrap();
    let body = delivery.body.clone();
    delivery.ack_through().await.unwrap();
    subscription.close().await.unwrap();
    let raw = decode_commands(&body).unwrap();
    let envelope = Envelope::decode(raw[0].get().as_bytes()).unwrap();
    let control = envelope.control().unwrap().unwrap();
    (envelope, control)
}

fn post(dashboard: &Dashboard, path: &str, body: &Value) -> reqwest::RequestBuilder {
    dashboard.request(Method::POST, path).json(body)
}

#[tokio::test]
async fn lanes_are_listed_page_by_page_and_shown_with_what_waits() {
    let fixture = Fixture::new().await;
    let dashboard = set(&fixture).await;
    park(&fixture, 1, "unreadable_command", "order 1 is odd").await;
    park(&fixture, 2, "unreadable_command", "order 2 is odd").await;
    park(&fixture, 3, "refused_by_database", "order 3 is odd").await;
    let (status, page) = dashboard.get("/v1/lanes?limit=2").await;
    assert_eq!(status, StatusCode::OK);
    let lanes = page["lanes"].as_array().unwrap();
    assert_eq!(lanes.len(), 2);
    let lane = &lanes[0];
    assert_eq!(lane["order_id"], order(1).to_string());
    assert_eq!(
        (&lane["reason"], &lane["entries"]),
        (&json!("unreadable_command"), &json!(2))
    );
    assert_eq!(
        lane["head"],
        json!({"command_id": HEAD.to_string(), "type": "teleport"})
    );
    assert!(lane["parked_seconds"].as_i64().unwrap() >= 90);
    assert_eq!(lane["paused"], Value::Null);
    // Two that failed alike, and one that did not.
    assert_eq!(lane["fingerprint"], lanes[1]["fingerprint"]);
    let (_, rest) = dashboard.get(page["next"].as_str().unwrap()).await;
    assert_ne!(rest["lanes"][0]["fingerprint"], lane["fingerprint"]);
    assert_eq!(
        (rest["lanes"].as_array().unwrap().len(), &rest["next"]),
        (1, &Value::Null)
    );
    let filter = format!(
        "/v1/lanes?fingerprint={}",
        lane["fingerprint"].as_str().unwrap()
    );
    assert_eq!(
        dashboard.get(&filter).await.1["lanes"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let (status, shown) = dashboard
        .get(&format!("/v1/lanes/{}?limit=1", order(1)))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(shown["commands"][0]["command_id"], HEAD.to_string());
    assert_eq!(shown["commands"][0]["data"]["value"], "v");
    let unreadable = shown["commands"][0]["unreadable"].as_str().unwrap();
    assert!(unreadable.contains("teleport"), "{unreadable}");
    let (_, rest) = dashboard.get(shown["next"].as_str().unwrap()).await;
    assert_eq!(rest["commands"][0]["command_id"], BEHIND.to_string());
    assert_eq!(rest["commands"][0]["unreadable"], Value::Null);
    assert_eq!(
        dashboard.get(&format!("/v1/lanes/{}", order(9))).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn an_action_is_stored_in_the_orders_shard_before_it_is_accepted() {
    let fixture = Fixture::new().await;
    let dashboard = set(&fixture).await;
    park(&fixture, 1, "unreadable_command", "odd").await;
    let body = json!({"command_id": HEAD.to_string(), "reason": "not needed"});
    let path = format!("/v1/lanes/{}/skip", order(1));
    let mut seen = Vec::new();
    for _ in 0..2 {
        let request = post(&dashboard, &path, &body).header("Idempotency-Key", "k-1");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let resource: Value = response.json().await.unwrap();
        assert_eq!(
            (&resource["type"], &resource["status"]),
            (&json!("lane_skip"), &json!("queued"))
        );
        assert_eq!(resource["links"]["self"], location);
        assert!(location.contains("?receipt="), "{location}");
        seen.push(sent(&fixture).await);
    }
    let (envelope, control) = &seen[0];
    assert_eq!(control.act, ControlAct::Skip { head: HEAD });
    assert_eq!(control.reason, "not needed");
    assert!(!control.by.is_empty());
    // The same key is the same control command.
    assert_eq!(seen[1].0.command_id, envelope.command_id);
    assert_eq!(seen[1].0.fingerprint, envelope.fingerprint);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_nothing_is_sent() {
    let fixture = Fixture::new().await;
    let dashboard = set(&fixture).await;
    park(&fixture, 1, "unreadable_command", "odd").await;
    let path = |verb: &str| format!("/v1/lanes/{}/{verb}", order(1));
    let edit = |replacement: Value| json!({"command_id": HEAD.to_string(), "reason": "r", "replacement": replacement});
    for (verb, body, pointer) in [
        ("retry", json!({"reason": "r"}), "/command_id"),
        ("skip", json!({"command_id": HEAD.to_string()}), "/reason"),
        (
            "edit",
            edit(json!({"type": "teleport"})),
            "/replacement/data",
        ),
        (
            "edit",
            edit(json!({"type": "annotate", "data": {"key": "k"}})),
            "/replacement/data/value",
        ),
        (
            "edit",
            edit(json!({"type": "hold", "data": {"reason": ""}})),
            "/replacement/data/reason",
        ),
    ] {
        let (status, problem) = answer(post(&dashboard, &path(verb), &body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{verb} {problem}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let key = insert_key(&fixture.store, &[Scope::OpsRead]).await;
    let request = dashboard
        .request_without_key(Method::POST, &path("skip"))
        .bearer_auth(&key);
    let body = json!({"command_id": HEAD.to_string(), "reason": "r"});
    let (status, _) = answer(request.json(&body)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let shard = ShardId {
        generation: 1,
        shard: 0,
    };
    let (_, found) = dashboard.get("/v1/shards").await;
    assert_eq!(found["shards"][0]["depth"], 0, "{shard}");
}

#[tokio::test]
async fn a_rehearsal_says_what_would_happen_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let dashboard = set(&fixture).await;
    park(&fixture, 1, "unreadable_command", "odd").await;
    let rehearse = async |verb: &str, head: CommandId, more: Value| {
        let mut body = json!({"command_id": head.to_string(), "reason": "r", "dry_run": true});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        answer(post(
            &dashboard,
            &format!("/v1/lanes/{}/{verb}", order(1)),
            &body,
        ))
        .await
    };
    let outcomes = |found: &Value| {
        let would = found["would"].as_array().unwrap().iter();
        let outcomes = would.map(|fate| fate["outcome"].as_str().unwrap().to_owned());
        (
            outcomes.collect::<Vec<_>>().join(" "),
            found["waiting"].as_i64().unwrap(),
        )
    };
    let (status, retry) = rehearse("retry", HEAD, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{retry}");
    assert_eq!(outcomes(&retry), ("parked".to_owned(), 2));
    // The order does not exist: what is behind the head would be rejected.
    let (_, skip) = rehearse("skip", HEAD, json!({})).await;
    assert_eq!(outcomes(&skip), ("discarded rejected".to_owned(), 0));
    assert_eq!(skip["would"][1]["code"], "order_not_found");
    let line = json!({"sku": "TEA", "quantity": 2, "unit_price_minor": 150});
    let place = json!({"customer_id": "c", "currency": "EUR", "lines": [line]});
    let replacement = json!({"replacement": {"type": "place", "data": place}});
    let (_, edit) = rehearse("edit", HEAD, replacement.clone()).await;
    assert_eq!(edit["would"][1]["code"], "unknown_sku");
    let tea = "insert into stock values ('TEA', 2, 0, now())";
    fixture.env.psql(&[tea]).await.unwrap();
    let (_, edit) = rehearse("edit", HEAD, replacement).await;
    assert_eq!(outcomes(&edit), ("discarded applied applied".to_owned(), 0));
    let (_, discard) = rehearse("discard", HEAD, json!({})).await;
    assert_eq!(outcomes(&discard), ("discarded discarded".to_owned(), 0));
    let (status, problem) = rehearse("skip", BEHIND, json!({})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("not_head"))
    );
    let counts = "select (select count(*) from commands) + (select count(*) from lane_entries)";
    assert_eq!(fixture.env.psql(&[counts]).await.unwrap().trim(), "2");
}

#[tokio::test]
async fn lanes_that_failed_alike_are_acted_on_together() {
    let fixture = Fixture::new().await;
    let dashboard = set(&fixture).await;
    for n in 1..=3 {
        park(
            &fixture,
            n,
            "unreadable_command",
            &format!("order {n} is odd"),
        )
        .await;
    }
    park(&fixture, 4, "refused_by_database", "odd").await;
    let (_, page) = dashboard.get("/v1/lanes").await;
    let body = |limit: u32, dry_run: bool| json!({"fingerprint": page["lanes"][0]["fingerprint"], "reason": "r", "limit": limit, "dry_run": dry_run});
    let (status, dry) = answer(post(&dashboard, "/v1/lanes/skip", &body(9, true))).await;
    assert_eq!(status, StatusCode::OK, "{dry}");
    assert_eq!(
        (&dry["matched"], &dry["accepted"], &dry["left"]),
        (&json!(3), &json!(0), &json!(0))
    );
    let (_, done) = answer(post(&dashboard, "/v1/lanes/skip", &body(2, false))).await;
    assert_eq!(
        (&done["matched"], &done["accepted"], &done["left"]),
        (&json!(3), &json!(2), &json!(1))
    );
    let heads = [sent(&fixture).await, sent(&fixture).await].map(|(_, control)| control.head());
    assert_eq!(heads, [Some(head(1)), Some(head(2))]);
}

#[tokio::test]
async fn an_order_is_paused_and_an_expired_pause_is_ended_once() {
    let fixture = Fixture::new().await;
    let dashboard = set(&fixture).await;
    let path = format!("/v1/orders/{}/pause", order(1));
    let body = json!({"reason": "a call", "expires_in_seconds": 60});
    let (status, _) = answer(post(&dashboard, &path, &body)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (pause, control) = sent(&fixture).await;
    let act = ControlAct::Pause {
        expires_in_seconds: Some(60),
    };
    assert_eq!(control.act, act);
    // As the worker would write it, an hour ago.
    let paused = format!(
        "insert into lanes (order_id, reason, detail, parked_at, pause_id, paused_by, paused_reason, paused_at, paused_until)
         values ('{}', 'paused', 'a call', now(), '{}', 'k1', 'a call', now() - interval '1 h', now() - interval '59 min')",
        order(1),
        pause.command_id
    );
    fixture.env.psql(&[&paused]).await.unwrap();
    let (_, shown) = dashboard.get(&format!("/v1/lanes/{}", order(1))).await;
    assert_eq!(
        (&shown["paused"]["by"], &shown["fingerprint"]),
        (&json!("k1"), &Value::Null)
    );
    let (end, control) = sent(&fixture).await;
    let act = ControlAct::Resume {
        pause: Some(pause.command_id),
    };
    assert_eq!(control.act, act);
    assert_eq!(end.command_id, ids::pause_end_id(pause.command_id));
    // Another dashboard ends it too, by the same command.
    let second = fixture.start().await;
    let (again, _) = sent(&fixture).await;
    assert_eq!(again.encode(), end.encode());
    second.token.cancel();
    until(async || dashboard.readiness.is_ready()).await;
}
