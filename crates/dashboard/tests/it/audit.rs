//! The audit over HTTP: every action of an operator is there, and its chain can be checked by who reads it.

use orderly_protocol::api_key::Scope;
use orderly_protocol::audit::{AuditContent, AuditHash};
use orderly_protocol::serde_json::{self, Value, json};
use reqwest::{Method, StatusCode};

use crate::support::{Dashboard, Fixture, answer, insert_key};

async fn entries(dashboard: &Dashboard, query: &str) -> Vec<Value> {
    let (status, page) = dashboard.get(&format!("/v1/audit{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_operators_do_is_told_with_who_why_and_by_which_request() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let send = async |method, path: &str, body: Value| {
        let request = dashboard
            .request(method, path)
            .header("X-Request-Id", "r-7");
        answer(request.header("Idempotency-Key", path).json(&body)).await
    };
    let scopes = ["orders:read"];
    let key = json!({"name": "till 4", "scopes": scopes, "reason": "new till"});
    let (_, key) = send(Method::POST, "/v1/keys", key).await;
    let key_id = key["key_id"].as_str().unwrap();
    let revoke = format!("/v1/keys/{key_id}?reason=till%20stolen");
    for _ in 0..2 {
        let (status, _) = send(Method::DELETE, &revoke, json!(null)).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    let counted = json!({"on_hand": 9, "reason": "counted"});
    send(Method::PUT, "/v1/stock/MUG", counted.clone()).await;
    send(Method::PUT, "/v1/stock/MUG", counted).await;
    send(
        Method::POST,
        "/v1/stock/MUG/adjustments",
        json!({"delta": -10}),
    )
    .await;

    let told = entries(&dashboard, "?after=0").await;
    // The first is the key of the test itself.
    let short: Vec<_> = told[1..]
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            [text("action"), text("target"), text("reason"), text("code")].join(" ")
        })
        .collect();
    assert_eq!(
        short,
        [
            format!("key.create key/{key_id} new till "),
            format!("key.revoke key/{key_id} till stolen "),
            "stock.set stock/MUG counted ".to_owned(),
            "stock.adjust stock/MUG  stock_below_reserved".to_owned(),
        ]
    );
    let own_key_id = fixture.key.split('_').nth(2).unwrap();
    for entry in &told[1..] {
        assert_eq!(
            (&entry["actor"], &entry["key_id"], &entry["request_id"]),
            (&json!("test"), &json!(own_key_id), &json!("r-7"))
        );
    }
    assert!(!told[1].to_string().contains(key["token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_reader_can_check_the_chain_by_himself() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    for number in 0..5 {
        let put = dashboard.request(Method::PUT, "/v1/stock/MUG");
        answer(put.json(&json!({"on_hand": number}))).await;
    }
    let mut last = AuditHash::NONE.to_string();
    let mut after = 0;
    loop {
        let query = format!("/v1/audit?limit=2&after={after}");
        let (_, page) = dashboard.get(&query).await;
        let entries = page["entries"].as_array().unwrap();
        for entry in entries {
            let mut content = entry.as_object().unwrap().clone();
            let hash = content.remove("hash").unwrap();
            assert_eq!(content["previous_hash"], json!(last));
            let content: AuditContent = serde_json::from_value(content.into()).unwrap();
            assert_eq!(json!(content.hash()), hash);
            last = hash.as_str().unwrap().to_owned();
        }
        let next = page["next_after"].as_i64().unwrap();
        if next == after {
            break;
        }
        after = next;
    }
    assert_eq!(after, 6);
    let newest = entries(&dashboard, "?limit=1").await;
    assert_eq!(newest[0]["hash"], json!(last));
}

#[tokio::test]
async fn the_audit_is_filtered_and_paged_and_asks_for_its_scope() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    for sku in ["MUG", "LAMP", "MUG"] {
        let put = dashboard.request(Method::PUT, &format!("/v1/stock/{sku}"));
        answer(put.json(&json!({"on_hand": 1}))).await;
    }
    let ids = async |query: &str| {
        let told = entries(&dashboard, query).await;
        let ids = told.iter().map(|entry| entry["audit_id"].as_i64().unwrap());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [4, 3, 2, 1]);
    assert_eq!(ids("?target=stock/MUG").await, [4, 2]);
    assert_eq!(ids("?action=stock&after=2").await, [3, 4]);
    assert_eq!(ids("?actor=nobody").await, [] as [i64; 0]);
    assert_eq!(
        ids("?actor=test&action=stock.set&limit=1&cursor=4").await,
        [3]
    );
    let third = entries(&dashboard, "?cursor=4&limit=1").await;
    let since = third[0]["at"].as_str().unwrap();
    assert_eq!(ids(&format!("?since={since}")).await, [4, 3]);
    for query in [
        "cursor=0",
        "cursor=x",
        "after=-1",
        "cursor=1&after=1",
        "since=today",
        "target=%00",
        "who=me",
        "limit=501",
    ] {
        let (status, _) = dashboard.get(&format!("/v1/audit?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
    let key = insert_key(&fixture.store, &[Scope::OrdersRead, Scope::KeysAdmin]).await;
    let request = dashboard.request_without_key(Method::GET, "/v1/audit");
    assert_eq!(
        answer(request.bearer_auth(key)).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_reason_that_is_none_is_refused() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let long = "x".repeat(501);
    for reason in [json!(""), json!("a\nb"), json!(long)] {
        let put = dashboard.request(Method::PUT, "/v1/stock/MUG");
        let (status, problem) = answer(put.json(&json!({"on_hand": 1, "reason": reason}))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["errors"][0]["pointer"], "/reason");
        let key = json!({"name": "a", "scopes": ["orders:read"], "reason": reason});
        let post = dashboard.request(Method::POST, "/v1/keys");
        assert_eq!(answer(post.json(&key)).await.0, StatusCode::BAD_REQUEST);
    }
    let delete = dashboard.request(Method::DELETE, "/v1/keys/k?reason=");
    assert_eq!(answer(delete).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(entries(&dashboard, "?after=1").await, [] as [Value; 0]);
}
