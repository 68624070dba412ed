//! `/v1/dead-letters`: what could not be read, looked at and resolved by operators.
//!
//! A resolution that sends commands holds the dead letter, has the broker confirm them, and then records what became of it. A
//! process that dies in between leaves the dead letter open, and the same request again sends the same command ids: one effect.

mod count;
pub(crate) mod discard;
pub(crate) mod edit;
pub(crate) mod list;
mod resolve;
pub(crate) mod retry;
pub(crate) mod show;

use orderly_http::ProblemResponse;
use orderly_protocol::serde_json::{self, Value};
use orderly_protocol::{Fingerprint, Problem, ProblemCode, timestamp};
use orderly_store::DeadLetterSummary;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use count::count_dead_letters;

use crate::operator::reason_fault;
use crate::request::invalid;

/// A dead letter without its bytes.
#[derive(Serialize)]
pub(crate) struct DeadLetterResource {
    dead_letter_id: i64,
    /// `open`, `retried`, `repaired` or `discarded`.
    state: String,
    /// A stable code.
    reason: String,
    detail: String,
    bytes: i64,
    body_sha256: String,
    shard: String,
    received_at: String,
    /// One more for each time that the same bytes came after they were resolved.
    arrival: i32,
    resolved_at: Option<String>,
    resolved_by: Option<String>,
    resolve_reason: Option<String>,
    command_ids: Vec<Uuid>,
}

impl From<DeadLetterSummary> for DeadLetterResource {
    fn from(letter: DeadLetterSummary) -> Self {
        let mut resource = Self {
            dead_letter_id: letter.dead_letter_id,
            state: "open".to_owned(),
            reason: letter.reason,
            detail: letter.detail,
            bytes: letter.bytes,
            body_sha256: Fingerprint(letter.body_hash).to_string(),
            shard: letter.shard.routing_key(),
            received_at: timestamp::format(letter.received_at),
            arrival: letter.arrival,
            resolved_at: None,
            resolved_by: None,
            resolve_reason: None,
            command_ids: Vec::new(),
        };
        if let Some(resolution) = letter.resolution {
            resource.state = resolution.kind;
            resource.resolved_at = Some(timestamp::format(resolution.at));
            resource.resolved_by = Some(resolution.by);
            resource.resolve_reason = resolution.reason;
            resource.command_ids = resolution.command_ids.iter().map(|id| id.0).collect();
        }
        resource
    }
}

fn not_found() -> ProblemResponse {
    Problem::new(ProblemCode::NotFound, "there is no dead letter of this id").into()
}

/// Reads a body of this form.
fn read<T: DeserializeOwned>(body: Value) -> Result<T, ProblemResponse> {
    serde_json::from_value(body).map_err(|error| invalid(error.to_string()))
}

/// Refuses a reason that is none.
fn check(reason: Option<&str>) -> Result<(), ProblemResponse> {
    match reason.and_then(reason_fault) {
        None => Ok(()),
        Some(fault) => Err(invalid(fault)),
    }
}
