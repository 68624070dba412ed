//! Stock: read, set, adjust; once per key; never below what is reserved.

use futures_util::future::join_all;
use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::{Value, json};
use reqwest::{Method, StatusCode};

use crate::support::{Dashboard, Fixture, answer, body, insert_key};

async fn adjust(
    dashboard: &Dashboard,
    sku: &str,
    key: &str,
    delta: i64,
) -> (StatusCode, bool, Value) {
    let request = dashboard.request(Method::POST, &format!("/v1/stock/{sku}/adjustments"));
    let request = request
        .header("Idempotency-Key", key)
        .json(&json!({ "delta": delta }));
    let response = request.send().await.unwrap();
    let replayed = response
        .headers()
        .get("idempotent-replayed")
        .is_some_and(|value| value == "true");
    (response.status(), replayed, body(response).await)
}

async fn set(dashboard: &Dashboard, sku: &str, on_hand: i64) -> (StatusCode, Value) {
    answer(
        dashboard
            .request(Method::PUT, &format!("/v1/stock/{sku}"))
            .json(&json!({ "on_hand": on_hand })),
    )
    .await
}

#[tokio::test]
async fn what_is_set_is_read_and_listed() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    assert_eq!(
        dashboard.get("/v1/stock/MUG").await.0,
        StatusCode::NOT_FOUND
    );
    // A SKU may hold what a URL must escape.
    for sku in ["MUG", "LAMP%2F9", "CHAIR"] {
        assert_eq!(set(&dashboard, sku, 7).await.0, StatusCode::OK);
    }
    let (status, mug) = dashboard.get("/v1/stock/MUG").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&mug["on_hand"], &mug["reserved"], &mug["available"]),
        (&json!(7), &json!(0), &json!(7))
    );

    let (mut skus, mut path) = (Vec::new(), "/v1/stock?limit=2".to_owned());
    loop {
        let (_, page) = dashboard.get(&path).await;
        skus.extend(
            page["stock"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["sku"].clone()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        next.clone_into(&mut path);
    }
    assert_eq!(skus, ["CHAIR", "LAMP/9", "MUG"]);
}

#[tokio::test]
async fn adjustments_at_once_add_up_and_each_key_counts_once() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let answers = join_all((0..40).map(|n| {
        let (dashboard, key) = (&dashboard, format!("receipt-{}", n % 20));
        async move { adjust(dashboard, "MUG", &key, 3).await }
    }));
    let answers = answers.await;
    assert!(
        answers.iter().all(|(status, ..)| *status == StatusCode::OK),
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|(_, replayed, _)| *replayed).count(),
        20
    );
    assert_eq!(dashboard.get("/v1/stock/MUG").await.1["on_hand"], 60);
}

#[tokio::test]
async fn a_replay_answers_what_the_write_left_and_another_request_is_refused() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let (_, replayed, first) = adjust(&dashboard, "MUG", "k1", 5).await;
    assert!(!replayed);
    adjust(&dashboard, "MUG", "k2", 5).await;
    let (status, replayed, again) = adjust(&dashboard, "MUG", "\"k1\"", 5).await;
    assert_eq!((status, replayed, &again), (StatusCode::OK, true, &first));

    let (status, _, problem) = adjust(&dashboard, "MUG", "k1", 6).await;
    assert_eq!(
        (status, &problem["code"]),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!("idempotency_key_reused")
        )
    );
    let (status, _, _) = adjust(&dashboard, "LAMP", "k1", 5).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(dashboard.get("/v1/stock/MUG").await.1["on_hand"], 10);
    assert_eq!(
        dashboard.get("/v1/stock/LAMP").await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn stock_never_falls_below_what_is_reserved() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    set(&dashboard, "MUG", 10).await;
    fixture
        .env
        .psql(&["update stock set reserved = 4 where sku = 'MUG'"])
        .await
        .unwrap();
    let (status, problem) = set(&dashboard, "MUG", 3).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("stock_below_reserved"))
    );
    let (status, _, problem) = adjust(&dashboard, "MUG", "k", -7).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("stock_below_reserved"))
    );
    // The refusal left the key free.
    assert_eq!(adjust(&dashboard, "MUG", "k", -6).await.0, StatusCode::OK);
    let (_, mug) = dashboard.get("/v1/stock/MUG").await;
    assert_eq!((&mug["on_hand"], &mug["available"]), (&json!(4), &json!(0)));
}

#[tokio::test]
async fn a_malformed_write_is_refused_with_its_place() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let put = |json: Value| answer(dashboard.request(Method::PUT, "/v1/stock/MUG").json(&json));
    for (json, pointer) in [
        (json!({ "on_hand": "7" }), "/on_hand"),
        (json!({ "on_hand": 7.5 }), "/on_hand"),
        (json!({ "on_hand": -1 }), "/on_hand"),
        (json!({ "on_hand": 9_007_199_254_740_992_i64 }), "/on_hand"),
        (json!({ "onhand": 7, "on_hand": 7 }), "/onhand"),
        (json!([]), ""),
    ] {
        let (status, problem) = put(json.clone()).await;
        assert_eq!(
            (status, &problem["code"]),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!("invalid_stock_write")
            ),
            "{json}"
        );
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{json}");
    }
    let keyless = dashboard
        .request(Method::POST, "/v1/stock/MUG/adjustments")
        .json(&json!({ "delta": 1 }));
    let (status, problem) = answer(keyless).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_header"))
    );
    assert_eq!(
        set(&dashboard, "white%20space", 1).await.0,
        StatusCode::BAD_REQUEST
    );
    let reader = insert_key(&fixture.store, &[Scope::OrdersRead]).await;
    let request = dashboard
        .request_without_key(Method::PUT, "/v1/stock/MUG")
        .bearer_auth(reader);
    assert_eq!(
        answer(request.json(&json!({ "on_hand": 1 }))).await.0,
        StatusCode::FORBIDDEN
    );
}
