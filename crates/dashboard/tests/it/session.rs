//! The session of the page as HTTP: from a key to a cookie, and back to nothing.

use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::{Value, json};
use reqwest::{Method, Response, StatusCode};

use crate::support::{Dashboard, Fixture, answer, body, insert_key};

async fn log_in(dashboard: &Dashboard, headers: &[(&str, &str)], key: &str) -> Response {
    let mut request = dashboard.request_without_key(Method::POST, "/session");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .json(&json!({ "api_key": key }))
        .send()
        .await
        .unwrap()
}

fn cookies(response: &Response) -> Vec<String> {
    let values = response.headers().get_all("set-cookie").iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

/// The part of `Set-Cookie` that a browser sends back.
fn pair(response: &Response) -> String {
    let cookies = cookies(response);
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    cookies[0].split(';').next().unwrap().to_owned()
}

async fn who(dashboard: &Dashboard, cookie: &str) -> (StatusCode, Value) {
    let request = dashboard.request_without_key(Method::GET, "/session");
    answer(request.header("cookie", cookie)).await
}

#[tokio::test]
async fn a_key_is_exchanged_for_a_cookie_that_says_who_is_there() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let key = insert_key(&fixture.store, &[Scope::OrdersRead, Scope::EventsRead]).await;
    let response = log_in(&dashboard, &[("sec-fetch-site", "same-origin")], &key).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let cookie = &cookies(&response)[0];
    assert!(
        cookie.starts_with("orderly_session=")
            && cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    let secret = &key[key.rfind('_').unwrap() + 1..];
    assert!(!cookie.contains(secret));

    let (status, session) = who(&dashboard, &pair(&response)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(session["name"], "test");
    assert_eq!(session["scopes"], json!(["orders:read", "events:read"]));
    assert!(session["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        who(&dashboard, "a=b").await,
        (StatusCode::NO_CONTENT, Value::Null)
    );
    let forged = who(&dashboard, "orderly_session=x.y").await;
    assert_eq!(forged, (StatusCode::NO_CONTENT, Value::Null));
}

#[tokio::test]
async fn the_cookie_reads_what_the_key_may_read_on_every_process() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.start().await, fixture.start().await);
    let key = insert_key(&fixture.store, &[Scope::OrdersRead]).await;
    let cookie = pair(&log_in(&one, &[], &key).await);
    for dashboard in [&one, &other] {
        let read = dashboard.request_without_key(Method::GET, "/v1/stock");
        let (status, _) = answer(read.header("cookie", &cookie)).await;
        assert_eq!(status, StatusCode::OK);
        let events = dashboard.request_without_key(Method::GET, "/v1/events");
        let (status, problem) = answer(events.header("cookie", &cookie)).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::FORBIDDEN, &json!("forbidden"))
        );
    }
}

#[tokio::test]
async fn the_cookie_writes_for_the_page_itself_only() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let cookie = pair(&log_in(&dashboard, &[], &fixture.key).await);
    let write = async |site: &str| {
        let request = dashboard.request_without_key(Method::PUT, "/v1/stock/MUG");
        let request = request
            .header("cookie", &cookie)
            .header("sec-fetch-site", site);
        answer(request.json(&json!({ "on_hand": 7 }))).await.0
    };
    assert_eq!(write("cross-site").await, StatusCode::FORBIDDEN);
    assert_eq!(
        dashboard.get("/v1/stock/MUG").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(write("same-origin").await, StatusCode::OK);
}

#[tokio::test]
async fn a_browser_that_came_over_tls_gets_a_secure_cookie() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    for (proto, secure) in [
        ("https", true),
        ("HTTPS, http", true),
        ("http", false),
        ("", false),
    ] {
        let response = log_in(&dashboard, &[("x-forwarded-proto", proto)], &fixture.key).await;
        let cookie = &cookies(&response)[0];
        assert_eq!(
            cookie.starts_with("__Host-orderly_session="),
            secure,
            "{cookie}"
        );
        assert_eq!(cookie.ends_with("; Secure"), secure, "{cookie}");
        assert_eq!(who(&dashboard, &pair(&response)).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_is_no_key_or_comes_from_another_site_opens_nothing() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let (right, last) = fixture.key.split_at(fixture.key.len() - 1);
    let mistyped = format!("{right}{}", if last == "x" { "y" } else { "x" });
    for key in [mistyped.as_str(), "", "ord_x"] {
        let response = log_in(&dashboard, &[], key).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(cookies(&response), Vec::<String>::new());
        assert_eq!(body(response).await["code"], "unauthenticated");
    }
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://evil.example")],
    ] {
        let response = log_in(&dashboard, &headers, &fixture.key).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?}");
        assert_eq!(cookies(&response), Vec::<String>::new());
    }
    for json in [
        json!({}),
        json!([]),
        json!({ "api_key": 7 }),
        json!({ "api_key": "x", "b": 1 }),
    ] {
        let request = dashboard.request_without_key(Method::POST, "/session");
        let (status, problem) = answer(request.json(&json)).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_parameter"))
        );
    }
}

#[tokio::test]
async fn logging_out_takes_every_cookie_back() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let end = |site: &str| {
        let request = dashboard.request_without_key(Method::DELETE, "/session");
        request.header("sec-fetch-site", site.to_owned()).send()
    };
    let response = end("same-origin").await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let ended = cookies(&response);
    assert!(
        ended.len() == 2
            && ended
                .iter()
                .all(|cookie| cookie.contains("=; Path=/; Max-Age=0;")),
        "{ended:?}"
    );
    let foreign = end("cross-site").await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    assert_eq!(cookies(&foreign), Vec::<String>::new());
}
