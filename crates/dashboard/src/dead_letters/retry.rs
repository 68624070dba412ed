//! `POST /v1/dead-letters/{id}/retry` `{"reason"?, "dry_run"?}`: sends it again as it is, for a version that can read what an
//! earlier one could not.

use axum::extract::{Path, State};
use axum::response::Response;
use orderly_http::{JsonBody, ProblemResponse, scope};
use orderly_protocol::{Envelope, EnvelopeError, Problem, ProblemCode, decode_commands};
use orderly_store::{DeadLetterRow, ResolutionKind};
use serde::Deserialize;

use super::resolve::{Outgoing, Wish, resolve};
use super::{check, read};
use crate::DashboardState;
use crate::operator::Operator;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn handle(
    State(state): State<DashboardState>,
    operator: Operator<scope::OpsWrite>,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody,
) -> Result<Response, ProblemResponse> {
    let request: Request = read(body)?;
    check(request.reason.as_deref())?;
    let wish = Wish {
        kind: ResolutionKind::Retried,
        actor: operator.actor.because(request.reason),
        dry_run: request.dry_run,
    };
    resolve(&state, id, wish, as_it_is).await
}

/// Its envelopes: it is a whole message, or one envelope of one.
fn as_it_is(letter: &DeadLetterRow) -> Result<Vec<Outgoing>, ProblemResponse> {
    match decode_commands(&letter.body) {
        Ok(envelopes) => envelopes
            .into_iter()
            .map(|raw| outgoing(raw.get().as_bytes()))
            .collect(),
        Err(_) => Ok(vec![outgoing(&letter.body)?]),
    }
}

/// An envelope whose order can be told goes to that order: what else is wrong with it is for the worker to say.
fn outgoing(envelope: &[u8]) -> Result<Outgoing, ProblemResponse> {
    let (order_id, command_id) = match Envelope::decode(envelope) {
        Ok(read) => (read.order_id, Some(read.command_id)),
        Err(EnvelopeError::Unreadable {
            order_id,
            command_id,
            ..
        }) => (order_id, command_id),
        Err(EnvelopeError::NoOrder { detail }) => {
            let detail =
                format!("this version cannot read it either: {detail}; repair or discard it");
            return Err(Problem::new(ProblemCode::DeadLetterUnreadable, detail).into());
        }
    };
    Ok(Outgoing {
        order_id,
        command_id,
        envelope: envelope.to_vec(),
    })
}
