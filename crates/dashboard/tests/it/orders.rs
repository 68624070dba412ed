//! Reads of one order.

use orderly_domain::{Currency, Event, NewLine, Order, OrderId, Sku, evolve};
use orderly_protocol::serde_json::{Value, json};
use orderly_protocol::{event_data, order_state};
use orderly_store::{LiveWorker, WorkerLoad};
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use crate::support::{Dashboard, Fixture, answer};

const ORDER: Uuid = Uuid::from_u128(0x0190_a5c1_2b3c_7d4e_8f50_6172_8394_0516);

/// An order with `annotations` behind its `placed`, written as a worker leaves it.
async fn seed(fixture: &Fixture, annotations: u32) -> Order {
    let placed = Event::Placed {
        customer_id: "c-1".into(),
        currency: Currency::new("EUR").unwrap(),
        lines: vec![NewLine {
            sku: Sku::new("MUG").unwrap(),
            quantity: 2,
            unit_price_minor: 450,
        }],
        note: None,
    };
    let notes = (0..annotations).map(|n| Event::Annotated {
        key: format!("k{n}"),
        value: "v".into(),
    });
    let (mut order, mut statements) = (None, Vec::new());
    for event in std::iter::once(placed).chain(notes) {
        let after = evolve(order.as_ref(), OrderId(ORDER), &event).unwrap();
        statements.push(format!(
            "insert into events (order_id, version, command_id, delivery_id, type, data, recorded_at) \
             values ('{ORDER}', {v}, '{id}', '{id}', '{name}', $${data}$$, '2026-11-23T10:00:00Z')",
            v = after.version,
            id = Uuid::from_u128(u128::from(after.version.0)),
            name = event.name(),
            data = event_data(&after, &event),
        ));
        order = Some(after);
    }
    let order = order.unwrap();
    statements.push(format!(
        "insert into orders (order_id, version, status, held, customer_id, currency, total_minor, captured_minor, \
         refunded_minor, refund_pending_minor, state, created_at, updated_at) values ('{ORDER}', {}, 'placed', false, \
         'c-1', 'EUR', 900, 0, 0, 0, $${}$$, '2026-11-23T10:00:00Z', '2026-11-23T10:00:00Z')",
        order.version,
        order_state(&order),
    ));
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    fixture.env.psql(&statements).await.unwrap();
    order
}

fn path() -> String {
    format!("/v1/orders/{ORDER}")
}

async fn conditional(dashboard: &Dashboard, etag: &str) -> StatusCode {
    let request = dashboard
        .request(Method::GET, &path())
        .header("If-None-Match", etag);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn an_order_is_shown_with_its_tag_and_what_can_be_done() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    seed(&fixture, 2).await;
    let response = dashboard
        .request(Method::GET, &path())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["etag"], "\"v3\"");
    let order: orderly_protocol::serde_json::Value = response.json().await.unwrap();
    assert_eq!(
        (&order["version"], &order["status"]),
        (&json!(3), &json!("placed"))
    );
    assert_eq!(
        order["total"],
        json!({ "amount_minor": 900, "currency": "EUR" })
    );
    assert!(
        order["allowed_commands"]
            .as_array()
            .unwrap()
            .contains(&json!("pay"))
    );
    assert_eq!(order["waiting"], json!(null));
    assert_eq!(
        conditional(&dashboard, "\"v3\"").await,
        StatusCode::NOT_MODIFIED
    );
    assert_eq!(conditional(&dashboard, "\"v2\"").await, StatusCode::OK);
}

#[tokio::test]
async fn a_parked_order_says_why_it_waits_whatever_the_client_knows() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    seed(&fixture, 0).await;
    let lane = format!(
        "insert into lanes (order_id, reason, detail, parked_at) \
         values ('{ORDER}', 'unknown_type', 'no command is called \"gift\"', '2026-11-23T11:00:00Z')"
    );
    let entry = format!(
        "insert into lane_entries (order_id, position, command_id, producer, type, fingerprint, envelope, accepted_at, \
         parked_at) values ('{ORDER}', 1, '{ORDER}', '{ORDER}', 'gift', sha256('x'), 'x', now(), now())"
    );
    fixture.env.psql(&[&lane, &entry]).await.unwrap();
    assert_eq!(conditional(&dashboard, "\"v1\"").await, StatusCode::OK);
    let (_, order) = dashboard.get(&path()).await;
    assert_eq!(order["waiting"]["reason"], "parked");
    assert_eq!(order["waiting"]["code"], "unknown_type");
    assert_eq!(order["waiting"]["commands"], 1);
    assert_eq!(order["waiting"]["since"], "2026-11-23T11:00:00.000000Z");
}

#[tokio::test]
async fn events_come_page_by_page() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    seed(&fixture, 6).await;
    let (mut versions, mut next) = (Vec::new(), format!("{}/events?after=1&limit=3", path()));
    loop {
        let (status, page) = dashboard.get(&next).await;
        assert_eq!(status, StatusCode::OK);
        let events = page["events"].as_array().unwrap();
        assert!(events.len() <= 3);
        versions.extend(
            events
                .iter()
                .map(|event| event["data"]["version"].as_u64().unwrap()),
        );
        assert!(
            events
                .iter()
                .all(|event| event["type"] == "order.annotated.v1")
        );
        let Some(path) = page["next"].as_str() else {
            break;
        };
        path.clone_into(&mut next);
    }
    assert_eq!(versions, [2, 3, 4, 5, 6, 7]);
    let (status, page) = dashboard.get(&format!("{}/events?after=7", path())).await;
    assert_eq!(
        (status, page),
        (StatusCode::OK, json!({ "events": [], "next": null }))
    );
}

#[tokio::test]
async fn what_is_not_there_or_cannot_be_meant_is_said() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    for path in [path(), format!("{}/events", path())] {
        let (status, problem) = dashboard.get(&path).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::NOT_FOUND, &json!("order_not_found"))
        );
        assert!(problem["request_id"].is_string());
    }
    for query in [
        "after=x",
        "limit=0",
        "limit=9999",
        "after=1&after=2",
        "before=3",
    ] {
        let (status, problem) = dashboard.get(&format!("{}/events?{query}", path())).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_parameter")),
            "{query}"
        );
    }
    assert_eq!(
        dashboard.get("/v1/orders/7").await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn an_order_says_why_its_shard_does_not_go_on() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let store = &fixture.store;
    store.create_first_generation(1, 32).await.unwrap();
    seed(&fixture, 0).await;
    let reason = async || dashboard.get(&path()).await.1["waiting"]["reason"].clone();
    let post = async |path: &str, body: Value| {
        let request = dashboard.request(Method::POST, path).json(&body);
        assert_eq!(answer(request).await.0, StatusCode::OK);
    };
    assert_eq!(reason().await, "no_owner");
    let worker = LiveWorker {
        worker: "one".to_owned(),
        capacity: None,
        subscribed: vec!["g1.000".to_owned()],
        declined: Vec::new(),
        draining: false,
    };
    store
        .heartbeat(&worker, WorkerLoad::default())
        .await
        .unwrap();
    assert_eq!(reason().await, Value::Null);

    let body = json!({"reason": "a slow query", "expires_in_seconds": 600});
    post("/v1/pause", body).await;
    let (_, found) = dashboard.get(&path()).await;
    let waiting = &found["waiting"];
    assert_eq!(waiting["reason"], "shard_paused");
    assert_eq!(waiting["detail"], "every shard is paused: a slow query");
    assert!(waiting["paused"]["by"].is_string() && waiting["paused"]["until"].is_string());
    post("/v1/resume", Value::Null).await;
    assert_eq!(reason().await, Value::Null);

    let flip = "update generations set state = 'draining';
         insert into generations (generation, shard_count, prefetch, state) values (2, 1, 32, 'current');
         insert into shards (generation, shard) values (2, 0)";
    fixture.env.psql(&[flip]).await.unwrap();
    assert_eq!(reason().await, "shard_draining");
}
