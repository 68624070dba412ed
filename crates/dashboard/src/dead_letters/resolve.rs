//! What retry, repair and discard have in common: hold, check, send, record.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use orderly_broker::PublishError;
use orderly_domain::{CommandId, OrderId};
use orderly_http::ProblemResponse;
use orderly_protocol::serde_json::value::RawValue;
use orderly_protocol::serde_json::{self, Value, json};
use orderly_protocol::{Fingerprint, Problem, ProblemCode};
use orderly_store::{Actor, AuditEntry, DeadLetterRow, HeldDeadLetter, ResolutionKind};
use serde::Serialize;
use tokio::time::timeout;

use super::{DeadLetterResource, not_found};
use crate::DashboardState;
use crate::failure::{database, internal};

/// A confirm takes milliseconds. The dead letter is held meanwhile, and with it a connection to the database.
const PUBLISH_LIMIT: Duration = Duration::from_secs(10);

/// As of an ingress.
const RETRY_AFTER: u32 = 1;

/// A command to send for a dead letter.
pub(super) struct Outgoing {
    pub(super) order_id: OrderId,
    /// None where the envelope has none that can be read: the worker gives it one, always the same.
    pub(super) command_id: Option<CommandId>,
    pub(super) envelope: Vec<u8>,
}

/// What an operator wants.
pub(super) struct Wish {
    pub(super) kind: ResolutionKind,
    pub(super) actor: Actor,
    pub(super) dry_run: bool,
}

/// What was done, or would be.
#[derive(Serialize)]
struct Done {
    dry_run: bool,
    dead_letter: DeadLetterResource,
    /// The envelopes that were sent, or would be.
    commands: Vec<Box<RawValue>>,
}

/// Resolves a dead letter by what `outgoing` makes of it.
pub(super) async fn resolve(
    state: &DashboardState,
    id: i64,
    wish: Wish,
    outgoing: impl FnOnce(&DeadLetterRow) -> Result<Vec<Outgoing>, ProblemResponse>,
) -> Result<Response, ProblemResponse> {
    let held = state.store.hold_dead_letter(id).await.map_err(database)?;
    let held = held.ok_or_else(not_found)?;
    match attempt(state, held, &wish, outgoing).await {
        Err(problem) if is_refusal(problem.problem()) && !wish.dry_run => {
            let entry = entry(&wish, id).refused(problem.problem().code.as_str());
            state.store.audit(&entry).await.map_err(database)?;
            Err(problem)
        }
        answer => answer,
    }
}

/// Whether the audit is told: of what was refused as things are, not of a request that could not be meant.
fn is_refusal(problem: &Problem) -> bool {
    problem.status == 409
        || problem.status == 503 && problem.code != ProblemCode::DatabaseUnavailable.as_str()
}

async fn attempt(
    state: &DashboardState,
    held: HeldDeadLetter,
    wish: &Wish,
    outgoing: impl FnOnce(&DeadLetterRow) -> Result<Vec<Outgoing>, ProblemResponse>,
) -> Result<Response, ProblemResponse> {
    let letter = held.letter();
    if let Some(resolution) = &letter.summary.resolution {
        let detail = format!(
            "it was {} before, by {}; nothing was done again",
            resolution.kind, resolution.by
        );
        return Err(Problem::new(ProblemCode::DeadLetterResolved, detail).into());
    }
    let outgoing = outgoing(letter)?;
    let commands = outgoing
        .iter()
        .map(|it| serde_json::from_slice(&it.envelope));
    let commands = commands.collect::<Result<_, _>>().map_err(|_| internal())?;
    if wish.dry_run {
        let dead_letter = letter.summary.clone().into();
        return Ok(Json(Done {
            dry_run: true,
            dead_letter,
            commands,
        })
        .into_response());
    }
    for command in &outgoing {
        let published = state
            .publisher
            .publish(command.order_id, command.envelope.clone());
        let published = timeout(PUBLISH_LIMIT, published).await;
        published
            .unwrap_or(Err(PublishError::Unknown))
            .map_err(refused)?;
    }
    let command_ids: Vec<CommandId> = outgoing.iter().filter_map(|it| it.command_id).collect();
    let entry = entry(wish, letter.summary.dead_letter_id)
        .before(json!({
            "state": "open",
            "body_sha256": Fingerprint(letter.summary.body_hash),
            "arrival": letter.summary.arrival,
        }))
        .after(after(wish.kind, &outgoing));
    let reason = wish.actor.reason.as_deref();
    let resolved = held
        .resolve(wish.kind, &command_ids, &wish.actor.name, reason, &entry)
        .await;
    let dead_letter = resolved.map_err(database)?.into();
    let status = if outgoing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((
        status,
        Json(Done {
            dry_run: false,
            dead_letter,
            commands,
        }),
    )
        .into_response())
}

fn entry(wish: &Wish, id: i64) -> AuditEntry {
    let action = match wish.kind {
        ResolutionKind::Retried => "dead.retry",
        ResolutionKind::Repaired => "dead.repair",
        ResolutionKind::Discarded => "dead.discard",
    };
    AuditEntry::new(&wish.actor, action, format!("dead_letter/{id}"))
}

/// Ids alone: what a command says may be personal, and an entry stays for ever.
fn after(kind: ResolutionKind, outgoing: &[Outgoing]) -> Value {
    let commands = outgoing
        .iter()
        .map(|it| json!({ "order_id": it.order_id.0, "command_id": it.command_id.map(|id| id.0) }));
    json!({ "state": kind.as_str(), "commands": commands.collect::<Vec<_>>() })
}

/// The dead letter is still open, and the same request again is safe: its commands have the same ids.
fn refused(error: PublishError) -> ProblemResponse {
    let (code, detail) = match error {
        PublishError::ShardFull => (
            ProblemCode::ShardFull,
            "too many commands wait before it; nothing was done",
        ),
        PublishError::NoGeneration => (
            ProblemCode::NotReady,
            "no shards take commands now; nothing was done",
        ),
        PublishError::Unavailable | PublishError::Preceding => (
            ProblemCode::BrokerUnavailable,
            "the broker is away; nothing was done",
        ),
        PublishError::Unknown => (
            ProblemCode::OutcomeUnknown,
            "the command may be stored or not; sending the same request again is safe and settles it",
        ),
    };
    ProblemResponse::new(code, detail).retry_after(RETRY_AFTER)
}
