//! The page as HTTP: what protects it, how it is kept, and what it loads.

use orderly_protocol::serde_json::{self, Value, json};
use reqwest::{Method, Response, StatusCode};

use crate::support::{Dashboard, Fixture, answer};

async fn get(dashboard: &Dashboard, path: &str) -> Response {
    let request = dashboard.request_without_key(Method::GET, path);
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

/// The path that the index loads its files from.
async fn edition(dashboard: &Dashboard) -> String {
    let html = get(dashboard, "/").await.text().await.unwrap();
    let (_, rest) = html.split_once("src=\"/assets/").unwrap();
    format!("/assets/{}", rest.split('/').next().unwrap())
}

fn assert_protected(response: &Response) {
    let policy = header(response, "content-security-policy").to_owned();
    let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(directives.contains(&directive), "{directive}: {policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(header(response, name), value);
    }
}

#[tokio::test]
async fn page_and_files_are_protected_and_kept_as_long_as_they_are_true() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let edition = edition(&dashboard).await;
    let list = include_bytes!("../../assets/ORIGINS.json");
    let list: Value = serde_json::from_slice(list).unwrap();
    let files = list["files"].as_array().unwrap().iter();
    let files = files.map(|entry| entry["file"].as_str().unwrap());
    let files: Vec<&str> = files.filter(|file| *file != "index.html").collect();
    assert!(files.len() > 10);
    for file in files {
        let response = get(&dashboard, &format!("{edition}/{file}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{file}");
        assert_protected(&response);
        assert_eq!(
            header(&response, "cache-control"),
            "public, max-age=31536000, immutable"
        );
        let kind = match file.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("no type for {other}"),
        };
        assert_eq!(header(&response, "content-type"), kind);
        assert!(!response.bytes().await.unwrap().is_empty());
    }
    let index = get(&dashboard, "/").await;
    assert_protected(&index);
    assert_eq!(header(&index, "cache-control"), "no-cache");
    assert_eq!(header(&index, "content-type"), "text/html; charset=utf-8");
    let html = index.text().await.unwrap();
    assert!(!html.contains("{{") && !html.contains("<script>"));
}

#[tokio::test]
async fn what_the_browser_has_is_not_sent_again() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let edition = edition(&dashboard).await;
    for path in ["/".to_owned(), format!("{edition}/app.js")] {
        let etag = header(&get(&dashboard, &path).await, "etag").to_owned();
        let known = |tag: &str| {
            let request = dashboard.request_without_key(Method::GET, &path);
            request.header("if-none-match", tag.to_owned()).send()
        };
        let response = known(&etag).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(header(&response, "etag"), etag);
        assert_protected(&response);
        assert!(response.bytes().await.unwrap().is_empty());
        assert_eq!(known("\"other\"").await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn head_is_get_without_the_content() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let edition = edition(&dashboard).await;
    for path in ["/".to_owned(), format!("{edition}/page.css")] {
        let got = get(&dashboard, &path).await;
        let request = dashboard.request_without_key(Method::HEAD, &path);
        let head = request.send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK);
        for name in ["content-length", "content-type", "etag", "cache-control"] {
            assert_eq!(header(&head, name), header(&got, name), "{name}");
            assert_ne!(header(&head, name), "", "{name}");
        }
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_file_that_this_build_does_not_have_is_a_problem() {
    let fixture = Fixture::new().await;
    let dashboard = fixture.start().await;
    let edition = edition(&dashboard).await;
    for path in [
        format!("{edition}/nothing.js"),
        format!("{edition}/index.html"),
        "/assets/0123456789abcdef/app.js".to_owned(),
        format!("{edition}/..%2FCargo.toml"),
        format!("{edition}/%FF.js"),
    ] {
        let response = get(&dashboard, &path).await;
        assert_eq!(
            header(&response, "content-type"),
            "application/problem+json"
        );
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_protected(&response);
        let (status, problem) = answer(dashboard.request_without_key(Method::GET, &path)).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::NOT_FOUND, &json!("not_found")),
            "{path}"
        );
    }
}
