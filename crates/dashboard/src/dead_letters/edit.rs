//! `POST /v1/dead-letters/{id}/edit` `{"command", "reason", "dry_run"?}`: sends another command for it.
//!
//! `command` is a whole envelope, or `{"order_id", "type", "data"?, "expected_version"?}`: then the caller is its producer, and its id
//! follows from the dead letter alone. So two repairs of one dead letter are one command, whatever each of them says.

use axum::extract::{Path, State};
use axum::response::Response;
use orderly_domain::Action;
use orderly_domain::ProducerId;
use orderly_http::{Caller, JsonBody, ProblemResponse, RequestContext, Traceparent, scope};
use orderly_protocol::api_key::Scope;
use orderly_protocol::serde_json::value::to_raw_value;
use orderly_protocol::serde_json::{self, Value};
use orderly_protocol::{
    Envelope, FieldFault, Problem, ProblemCode, Timestamp, fingerprint, ids, parse_batch_command,
};
use orderly_store::{DeadLetterSummary, ResolutionKind};
use serde::Deserialize;

use super::resolve::{Outgoing, Wish, resolve};
use super::{check, read};
use crate::DashboardState;
use crate::failure::database;
use crate::operator::Operator;

/// Where the command stands in the body.
const POINTER: &str = "/command";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    command: Value,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn handle(
    State(state): State<DashboardState>,
    operator: Operator<scope::OpsWrite>,
    context: RequestContext,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let request: Request = read(body)?;
    check(Some(&request.reason))?;
    let caller = operator.caller().clone();
    let wish = Wish {
        kind: ResolutionKind::Repaired,
        actor: operator.actor.because(Some(request.reason)),
        dry_run: request.dry_run,
    };
    let accepted_at = state.store.now().await.map_err(database)?;
    let traceparent = context.traceparent.as_ref().map(Traceparent::as_str);
    resolve(&state, id, wish, |letter| {
        let envelope = if request.command.get("command_id").is_some() {
            whole(&request.command)?
        } else {
            let mut envelope = made(
                request.command,
                caller.producer,
                &letter.summary,
                accepted_at,
            )?;
            envelope.traceparent = traceparent.map(str::to_owned);
            envelope
        };
        authorize(&caller, &envelope)?;
        Ok(vec![Outgoing {
            order_id: envelope.order_id,
            command_id: Some(envelope.command_id),
            envelope: envelope.encode(),
        }])
    })
    .await
}

/// An envelope as the operator gives it: a command that its worker can decide.
fn whole(command: &Value) -> Result<Envelope, ProblemResponse> {
    let bytes = serde_json::to_vec(command).expect("a JSON value is always JSON");
    Envelope::decode(&bytes).map_err(|error| {
        faulty(vec![FieldFault {
            pointer: POINTER.to_owned(),
            code: "invalid_value".to_owned(),
            detail: error.to_string(),
        }])
    })
}

/// The envelope of a command as a producer would send it.
fn made(
    command: Value,
    producer: ProducerId,
    letter: &DeadLetterSummary,
    accepted_at: Timestamp,
) -> Result<Envelope, ProblemResponse> {
    let missing = |name: &str, code: &str, detail: &str| {
        faulty(vec![FieldFault {
            pointer: format!("{POINTER}/{name}"),
            code: code.to_owned(),
            detail: detail.to_owned(),
        }])
    };
    let read = parse_batch_command(command).map_err(|(_, faults)| {
        let faults = faults.into_iter().map(|fault| fault.under(POINTER));
        faulty(faults.collect())
    })?;
    let order_id = read
        .order_id
        .ok_or_else(|| missing("order_id", "missing_field", "is required"))?;
    if read.idempotency_key.is_some() {
        let detail = "the dead letter itself makes the command's id";
        return Err(missing("idempotency_key", "unknown_field", detail));
    }
    let action_type = read.action.name();
    Ok(Envelope {
        command_id: ids::dead_letter_command_id(&letter.body_hash, letter.arrival),
        order_id,
        action_type: action_type.to_owned(),
        fingerprint: fingerprint(
            action_type,
            Some(order_id),
            &read.data,
            read.expected_version,
        ),
        data: to_raw_value(&read.data).expect("a JSON value is always JSON"),
        expected_version: read.expected_version,
        producer,
        idempotency_key: None,
        accepted_at,
        traceparent: None,
        reply_to: None,
    })
}

/// The command must be one that can be applied, and what a gateway said of money is for the payments role alone to say.
fn authorize(caller: &Caller, envelope: &Envelope) -> Result<(), ProblemResponse> {
    let data = format!("{POINTER}/data");
    let command = envelope
        .command()
        .map_err(|faults| faulty(faults.into_iter().map(|fault| fault.under(&data)).collect()))?;
    let faults = command.action.faults();
    if !faults.is_empty() {
        let faults = faults
            .iter()
            .map(|fault| FieldFault::from(fault).under(&data));
        return Err(faulty(faults.collect()));
    }
    match command.action {
        Action::RecordPayment(_) | Action::RecordRefund(_) => caller.require(Scope::PaymentsWrite),
        _ => Ok(()),
    }
}

fn faulty(faults: Vec<FieldFault>) -> ProblemResponse {
    let detail = "the command could not be applied as it is; errors says what and where";
    Problem::new(ProblemCode::InvalidCommand, detail)
        .with_errors(faults)
        .into()
}
