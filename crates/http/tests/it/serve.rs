//! Serving: identity of requests, refusals, limits, probes, and the end of a listener.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use orderly_http::{JsonBody, ProblemResponse, Readiness, RequestContext, probe_router};
use orderly_protocol::ProblemCode;
use orderly_protocol::limits::BODY_BYTES;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::server::{LIMIT, Server, problem};

fn echo() -> Router {
    Router::new().route(
        "/echo",
        post(|JsonBody(body): JsonBody| async move { body.to_string() }),
    )
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let seen = |context: RequestContext| async move {
        let trace = context.traceparent.map(|trace| trace.as_str().to_owned());
        format!("{} {}", context.request_id, trace.unwrap_or_default())
    };
    let server = Server::start(Router::new().route("/", get(seen))).await;

    let request = server
        .client
        .get(server.url("/"))
        .header("x-request-id", "shop-42");
    let answer = request.header("traceparent", trace).send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "shop-42");
    assert_eq!(answer.text().await.unwrap(), format!("shop-42 {trace}"));

    let request = server
        .client
        .get(server.url("/"))
        .header("x-request-id", "a b");
    let answer = request.send().await.unwrap();
    let minted = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(minted.len(), 36);
    assert_eq!(answer.text().await.unwrap(), format!("{minted} "));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let server = Server::start(echo()).await;
    let (status, body) = problem(server.get("/nowhere?x=1").await).await;
    assert_eq!((status, &body["code"]), (404, &"not_found".into()));
    let answer = server.get("/echo").await;
    assert_eq!(answer.headers()["allow"], "POST");
    let (status, body) = problem(answer).await;
    assert_eq!((status, &body["code"]), (405, &"method_not_allowed".into()));
}

#[tokio::test]
async fn a_refusal_keeps_its_headers_and_its_length() {
    let refuse = || async { ProblemResponse::new(ProblemCode::ShardFull, "full").retry_after(3) };
    let server = Server::start(Router::new().route("/", get(refuse))).await;
    let answer = server.get("/").await;
    assert_eq!(answer.headers()["retry-after"], "3");
    let length: usize = answer.headers()["content-length"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(answer.bytes().await.unwrap().len(), length);
    let (status, body) = problem(server.get("/").await).await;
    assert_eq!((status, &body["retryable"]), (503, &true.into()));
}

#[tokio::test]
async fn a_body_is_json_or_is_refused_with_the_place() {
    let server = Server::start(echo()).await;
    assert_eq!(
        server
            .post("/echo", r#"{"a":[1]}"#)
            .await
            .text()
            .await
            .unwrap(),
        r#"{"a":[1]}"#
    );

    let (status, body) = problem(server.post("/echo", "{\"a\":1,\n \"b\":}").await).await;
    assert_eq!((status, &body["code"]), (400, &"malformed_json".into()));
    assert!(
        body["detail"].as_str().unwrap().contains("line 2 column 6"),
        "{body}"
    );

    let (status, body) = problem(server.post("/echo", r#"{"a":1,"a":2}"#).await).await;
    assert_eq!((status, &body["code"]), (400, &"malformed_json".into()));
    assert!(body["detail"].as_str().unwrap().contains("/a"), "{body}");

    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (status, _) = problem(server.post("/echo", deep).await).await;
    assert_eq!(status, 400);

    let (status, _) = problem(server.post("/echo", "").await).await;
    assert_eq!(status, 400);

    let request = server
        .client
        .post(server.url("/echo"))
        .header("content-type", "text/plain");
    let (status, body) = problem(request.body("{}").send().await.unwrap()).await;
    assert_eq!(
        (status, &body["code"]),
        (415, &"unsupported_media_type".into())
    );
}

#[tokio::test]
async fn a_body_may_have_256_kb_and_no_more() {
    let server = Server::start(echo()).await;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert_eq!(server.post("/echo", text(BODY_BYTES)).await.status(), 200);
    let (status, body) = problem(server.post("/echo", text(BODY_BYTES + 1)).await).await;
    assert_eq!((status, &body["code"]), (413, &"payload_too_large".into()));
    // A client that is still sending must get the answer too, not a reset connection.
    let (status, _) = problem(server.post("/echo", text(8 << 20)).await).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn probes_follow_the_checks() {
    let readiness = Readiness::new();
    let broker = readiness.check("broker");
    let server = Server::start(probe_router(readiness.clone(), || {
        "orderly_up 1\n".to_owned()
    }))
    .await;
    assert_eq!(server.get("/livez").await.status(), 200);
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status(), 503);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["not_ready"][0]["check"], "broker");
    broker.ready();
    assert_eq!(server.get("/readyz").await.status(), 200);
    readiness.drain();
    assert_eq!(server.get("/readyz").await.status(), 503);
    assert_eq!(server.get("/livez").await.status(), 200);
    let metrics = server.get("/metrics").await;
    assert!(
        metrics.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert_eq!(metrics.text().await.unwrap(), "orderly_up 1\n");
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_the_listener_stopped() {
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = |State((entered, go_on)): State<(Arc<Notify>, Arc<Notify>)>| async move {
        entered.notify_one();
        go_on.notified().await;
        "done"
    };
    let state = (Arc::clone(&entered), Arc::clone(&go_on));
    let server = Server::start(Router::new().route("/", get(handler)).with_state(state)).await;
    let request = tokio::spawn(server.client.get(server.url("/")).timeout(LIMIT).send());
    entered.notified().await;
    server.token.cancel();
    // Nobody new gets in.
    crate::server::until("the listener is closed", || async {
        let refused = TcpStream::connect(server.address).await;
        refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    })
    .await;
    go_on.notify_one();
    assert_eq!(
        request.await.unwrap().unwrap().text().await.unwrap(),
        "done"
    );
    server.ended().await;
}

#[tokio::test]
async fn an_open_stream_that_watches_the_token_and_an_idle_connection_do_not_hold_the_end_up() {
    let token = CancellationToken::new();
    let watched = token.clone();
    let stream = move || async move {
        let events = futures(watched);
        Response::new(Body::from_stream(events))
    };
    let router = Router::new()
        .route("/stream", get(stream))
        .route("/", get(|| async {}));
    let server = Server::start_with(router, token).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);
    let mut open = server.get("/stream").await;
    assert_eq!(open.chunk().await.unwrap().unwrap(), "first");
    server.token.cancel();
    assert_eq!(open.chunk().await.unwrap(), None);
    assert_eq!(idle.read(&mut [0; 1024]).await.unwrap(), 0);
    server.ended().await;
}

/// One chunk at once, and the end when `token` is cancelled.
fn futures(
    token: CancellationToken,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    futures_util::stream::unfold((true, token), |(first, token)| async move {
        if first {
            return Some((Ok(Bytes::from_static(b"first")), (false, token)));
        }
        token.cancelled().await;
        None
    })
}
