//! What an operator is told of a control command: 202 with where to look, or what it did if they wait for it.

use std::time::Duration;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use orderly_http::ProblemResponse;
use orderly_protocol::limits::WAIT_SECONDS;
use orderly_protocol::{CommandOutcome, CommandResource, Problem, ProblemCode};
use orderly_store::{ControlRecord, Store};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::controls::Sent;
use crate::failure::database;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How often the record is looked at while somebody waits: a person does not feel it, and the database neither.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The control command with what it did.
#[derive(Serialize)]
struct ControlResource {
    #[serde(flatten)]
    command: CommandResource,
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<Released>,
}

#[derive(Serialize)]
struct Released {
    /// Commands that were decided.
    decided: i64,
    /// Commands that were discarded.
    discarded: i64,
    /// Commands that were left in the lane.
    waiting: i64,
    /// The command that an edit made.
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<String>,
}

/// Answers for a control command that is stored; with `Prefer: wait=N`, as soon as it is decided.
pub(super) async fn answer(
    store: &Store,
    headers: &HeaderMap,
    sent: Sent,
) -> Result<Response, ProblemResponse> {
    let wait = preferred_wait(headers);
    let outcome = match wait {
        None => None,
        Some(seconds) => outcome_within(store, &sent, seconds).await?,
    };
    let applied = wait.map(|seconds| {
        HeaderValue::try_from(format!("wait={seconds}")).expect("digits are a header value")
    });
    let mut response = match outcome {
        None => accepted(&sent),
        Some(outcome) => decided(store, &sent, &outcome).await?,
    };
    if let Some(applied) = applied {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    Ok(response)
}

fn accepted(sent: &Sent) -> Response {
    let command = CommandResource::queued(&sent.envelope, &sent.receipt);
    let location = command.links.command.clone();
    let headers = [(LOCATION, location), (RETRY_AFTER, "1".to_owned())];
    let resource = ControlResource {
        command,
        released: None,
    };
    (StatusCode::ACCEPTED, headers, Json(resource)).into_response()
}

async fn decided(
    store: &Store,
    sent: &Sent,
    outcome: &CommandOutcome,
) -> Result<Response, ProblemResponse> {
    if outcome.fingerprint != sent.envelope.fingerprint {
        let detail = "the key was used for another request; this one was not applied";
        return Err(Problem::new(ProblemCode::IdempotencyKeyReused, detail).into());
    }
    if let Some(rejection) = &outcome.rejection {
        return Err(Problem::rejection(rejection, "").into());
    }
    let record = store.control(outcome.command_id).await.map_err(database)?;
    let resource = ControlResource {
        command: CommandResource::from(outcome),
        released: record.map(Released::from),
    };
    Ok(Json(resource).into_response())
}

impl From<ControlRecord> for Released {
    fn from(record: ControlRecord) -> Self {
        Self {
            decided: record.decided,
            discarded: record.discarded,
            waiting: record.waiting,
            replacement: record.replacement.map(|id| id.to_string()),
        }
    }
}

async fn outcome_within(
    store: &Store,
    sent: &Sent,
    seconds: u64,
) -> Result<Option<CommandOutcome>, ProblemResponse> {
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        // It is stored: a database that is away for a moment costs only the wait.
        match store.outcome(sent.envelope.command_id).await {
            Ok(Some(outcome)) => return Ok(Some(outcome)),
            Ok(None) => sleep(LOOK_EVERY).await,
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// `Prefer: wait=N` (RFC 7240), capped as for commands.
fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    let lines = headers.get_all(PREFER).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let wait = lines.flat_map(|line| line.split(',')).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.trim())
    })?;
    let seconds: u64 = wait.parse().ok()?;
    (seconds > 0).then_some(seconds.min(WAIT_SECONDS))
}
