//! The listener: accepts connections, bounds them, and ends them gently.
//!
//! Everything that leaves here has a request id, and every refusal is a problem. Owns no route.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use orderly_protocol::limits::BODY_BYTES;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{context, problem};

/// Open connections of one listener. Each costs about 20 kB and a file descriptor; further ones wait in the backlog of the
/// socket, so that a flood of connections cannot take the descriptors that the broker and the database need.
const CONNECTIONS: usize = 4_096;

/// How long a client may take over the headers of a request, idle time before it included: a slow or silent client
/// must not hold a connection for ever, and the pool of an honest one should rarely meet a closed one.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(75);

/// How long requests in flight may take to end once the listener was told to stop: a publish whose confirm is missing ends
/// after 10 s, and one may wait behind another. Most platforms kill after 30 s.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause after an accept failed, which means that descriptors ran out: some are free again a moment later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `token` is cancelled: then nothing new is accepted, idle connections close, and
/// requests in flight have 20 s to end. Streams and long waits must watch the same token.
///
/// Dropping the future ends all connections at once.
pub async fn serve(listener: TcpListener, router: Router, token: CancellationToken) {
    let service = TowerToHyperService::new(complete(router));
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    let _abort_when_dropped = abort.clone().drop_guard();

    while let Some((stream, permit)) = token.run_until_cancelled(accept(&listener, &permits)).await
    {
        let (service, token, abort) = (service.clone(), token.clone(), abort.clone());
        connections.spawn(async move {
            connection(stream, service, token, abort).await;
            drop(permit);
        });
    }
    drop(listener);

    connections.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            open = connections.len(),
            "requests still in flight after the drain, aborting them"
        );
        abort.cancel();
        connections.wait().await;
    }
}

/// `router` with what holds for every request of every listener.
fn complete(router: Router) -> Router {
    router
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn(context::attach))
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    token: CancellationToken,
    abort: CancellationToken,
) {
    // Answers are small and complete: waiting to fill a packet only adds latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match abort.run_until_cancelled(connection).await {
                Some(ended) => ended,
                None => return,
            }
        }
    };
    if let Err(error) = ended {
        // The client went away or spoke something else: its affair, not ours.
        tracing::debug!(%error, "connection ended early");
    }
}
