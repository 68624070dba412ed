//! API keys: made, used, revoked.

use orderly_protocol::serde_json::json;
use reqwest::{Method, StatusCode};

use crate::support::{Fixture, answer, until};

#[tokio::test]
async fn a_key_works_until_it_is_revoked_and_is_shown_once() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let request = json!({ "name": "warehouse", "scopes": ["orders:read", "stock:write"] });
    let (status, key) = answer(dashboard.request(Method::POST, "/v1/keys").json(&request)).await;
    assert_eq!(status, StatusCode::CREATED);
    let (token, key_id) = (
        key["token"].as_str().unwrap(),
        key["key_id"].as_str().unwrap(),
    );
    assert!(token.starts_with("ord_test_"), "{token}");
    let stock = async || {
        let request = dashboard
            .request_without_key(Method::GET, "/v1/stock")
            .bearer_auth(token);
        answer(request).await.0
    };
    assert_eq!(stock().await, StatusCode::OK);
    let keys = dashboard
        .request_without_key(Method::GET, "/v1/keys")
        .bearer_auth(token);
    assert_eq!(answer(keys).await.0, StatusCode::FORBIDDEN);

    let (_, keys) = dashboard.get("/v1/keys").await;
    let listed = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|listed| listed["key_id"] == key_id)
        .unwrap();
    assert_eq!(
        (&listed["name"], &listed["revoked_at"]),
        (&json!("warehouse"), &json!(null))
    );
    assert!(!keys.to_string().contains(token.rsplit('_').next().unwrap()));

    let path = format!("/v1/keys/{key_id}");
    for _ in 0..2 {
        assert_eq!(
            answer(dashboard.request(Method::DELETE, &path)).await.0,
            StatusCode::NO_CONTENT
        );
    }
    until(async || stock().await == StatusCode::UNAUTHORIZED).await;
    assert_eq!(
        answer(dashboard.request(Method::DELETE, "/v1/keys/nobody"))
            .await
            .0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    for request in [
        json!({ "name": "", "scopes": ["orders:read"] }),
        json!({ "name": "a", "scopes": [] }),
        json!({ "name": "a", "scopes": ["orders:eat"] }),
        json!({ "name": "a", "scopes": ["orders:read"], "producer": "me" }),
        json!({ "name": "a", "scopes": ["orders:read"], "admin": true }),
        json!([]),
    ] {
        let (status, _) = answer(dashboard.request(Method::POST, "/v1/keys").json(&request)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{request}");
    }
}
