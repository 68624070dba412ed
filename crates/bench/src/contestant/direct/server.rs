//! The HTTP side: reads a command, runs its transaction on one of 16 connections, answers with the outcome.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use orderly_domain::{Command, OrderId};
use orderly_protocol::{ids, parse_command_request, parse_json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};

use super::PRODUCER;
use super::transaction::{Connection, Request, Settled};

/// `orderly-bench direct`: started by the bench itself.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DirectArgs {
    #[arg(long)]
    database_url: String,
    /// Connections to Postgres
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

/// Connections, handed out in turn.
struct Pool {
    idle: Mutex<Vec<Connection>>,
    /// Fair: whoever waits longest is next.
    free: Semaphore,
}

/// Serves until standard input ends, as it does when whoever started this ends.
pub(crate) async fn serve(args: DirectArgs) -> Result<()> {
    let mut idle = Vec::with_capacity(args.connections);
    for _ in 0..args.connections {
        idle.push(Connection::open(&args.database_url).await?);
    }
    let pool = Arc::new(Pool {
        idle: Mutex::new(idle),
        free: Semaphore::new(args.connections),
    });
    let router = Router::new()
        .route("/v1/orders/{order_id}/commands", post(command))
        .with_state(pool);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let line = format!("{}\n", listener.local_addr()?);
    tokio::io::stdout().write_all(line.as_bytes()).await?;
    tokio::io::stdout().flush().await?;
    let serving = axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |stream| {
            // As the other listeners: answers are small and complete.
            if let Err(error) = stream.set_nodelay(true) {
                eprintln!("cannot set TCP_NODELAY: {error}");
            }
        }),
        router,
    );
    let parent_ended = async {
        let mut rest = Vec::new();
        tokio::io::stdin().read_to_end(&mut rest).await
    };
    tokio::select! {
        served = async { serving.await } => served.context("serve"),
        _ = parent_ended => Ok(()),
    }
}

async fn command(
    State(pool): State<Arc<Pool>>,
    Path(order_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(request) = read(&order_id, &headers, &body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let permit = pool.free.acquire().await.expect("it is never closed");
    let mut connection = {
        let mut idle = pool.idle.lock().await;
        idle.pop().expect("as many permits as connections")
    };
    let settled = connection.settle(&request).await;
    pool.idle.lock().await.push(connection);
    drop(permit);
    match settled {
        Ok(settled) => answer(&request, settled),
        Err(error) => {
            eprintln!("a transaction failed: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn read(order_id: &str, headers: &HeaderMap, body: &[u8]) -> Option<Request> {
    let order_id = OrderId(ids::parse_uuid(order_id)?);
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    let parsed = parse_command_request(parse_json(body).ok()?).ok()?;
    if !parsed.action.faults().is_empty() {
        return None;
    }
    Some(Request {
        fingerprint: orderly_protocol::fingerprint(
            parsed.action.name(),
            Some(order_id),
            &parsed.data,
            None,
        ),
        command: Command {
            command_id: ids::command_id(PRODUCER, key),
            order_id,
            expected_version: None,
            action: parsed.action,
        },
    })
}

fn answer(request: &Request, settled: Settled) -> Response {
    let Settled { outcome, version } = settled;
    let status = match outcome {
        "applied" => StatusCode::OK,
        _ => StatusCode::CONFLICT,
    };
    let body = format!(
        r#"{{"command_id":"{}","order_id":"{}","type":"{}","status":"{outcome}","version":{version}}}"#,
        request.command.command_id,
        request.command.order_id,
        request.command.action.name(),
    );
    (status, [("content-type", "application/json")], body).into_response()
}
