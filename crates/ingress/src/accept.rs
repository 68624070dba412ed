//! The life of a command at the ingress, from a request that could be read to its answer.
//!
//! Up to the publish nothing here touches the database; only a replay, or a wait, looks there for its outcome.

use std::time::Instant;

use axum::http::HeaderValue;
use axum::http::header::LOCATION;
use axum::response::Response;
use orderly_broker::PublishError;
use orderly_crashpoint::{CrashPoint, reach};
use orderly_http::{IdempotencyKey, ProblemResponse, Traceparent};
use orderly_protocol::receipt::Receipt;
use orderly_protocol::{Envelope, Problem, ProblemCode, Timestamp};
use serde_json::value::to_raw_value;
use time::OffsetDateTime;

use crate::Ingress;
use crate::answer::{Acceptance, replayed};
use crate::key_cache::Known;
use crate::reuse::reused;
use crate::standing::Standing;
use crate::submission::{Identity, Submission};
use crate::wait::{look, standing_within};
use crate::waiter::Waiter;

/// Seconds after which a refused command may be sent again: shards drain by thousands a second, and a connection to the
/// broker is reopened within seconds.
const RETRY_AFTER: u32 = 1;

/// Accepts a command: 202 once the broker has stored it, or its outcome if the client waits for it.
pub(crate) async fn accept(
    ingress: &Ingress,
    submission: Submission,
) -> Result<Response, ProblemResponse> {
    let started = Instant::now();
    submission.authorize()?;
    submission.check()?;
    let identity = submission.identify();
    name_span(identity);

    if let Some(known) = ingress.key_cache().get(identity.command_id) {
        return replay(ingress, &submission, identity, known).await;
    }
    let accepted = sign(ingress, &submission, identity, OffsetDateTime::now_utc())?;
    reach(CrashPoint::AfterAccept).map_err(|_| refused(PublishError::Unavailable, identity))?;
    // Before the publish: the reply may come before the confirm.
    let waiting = register(ingress, &submission, identity);
    publish(ingress, &submission, &accepted, waiting.as_ref()).await?;
    reach(CrashPoint::BeforeAnswer).map_err(|_| refused(PublishError::Unknown, identity))?;
    stored(ingress, &accepted, started);

    match submission.steering.wait {
        None => accepted.standing(Standing::Queued),
        Some(wait) => {
            let waiter = waiting.map(|waiting| waiting.waiter);
            accepted.outcome(standing_within(ingress, identity, waiter, wait).await, wait)
        }
    }
}

/// Remembers and counts a command that is durably stored.
pub(crate) fn stored(ingress: &Ingress, accepted: &Acceptance, started: Instant) {
    if accepted.identity.repeatable {
        let known = Known {
            fingerprint: accepted.identity.fingerprint,
            accepted_at: accepted.accepted_at,
        };
        let command_id = accepted.identity.command_id;
        ingress.key_cache().insert(command_id, known);
    }
    metrics::counter!("orderly_commands_accepted_total").increment(1);
    metrics::histogram!("orderly_accept_seconds").record(started.elapsed());
}

/// Answers a request that this process accepted before, without publishing it again.
async fn replay(
    ingress: &Ingress,
    submission: &Submission,
    identity: Identity,
    known: Known,
) -> Result<Response, ProblemResponse> {
    let accepted = accepted_before(ingress, submission, identity, known).await?;
    replayed(match submission.steering.wait {
        None => accepted.standing(look(ingress, identity).await),
        // Nobody promised this request a reply, so it looks.
        Some(wait) => accepted.outcome(standing_within(ingress, identity, None, wait).await, wait),
    })
}

/// The command of a request that this process accepted before, unless that was another request.
pub(crate) async fn accepted_before(
    ingress: &Ingress,
    submission: &Submission,
    identity: Identity,
    known: Known,
) -> Result<Acceptance, ProblemResponse> {
    if known.fingerprint != identity.fingerprint && !owns_record(ingress, identity).await {
        let Identity {
            command_id,
            producer,
            order_id,
            ..
        } = identity;
        return Err(reused(command_id, producer, order_id));
    }
    sign(ingress, submission, identity, known.accepted_at)
}

/// Whether the record contradicts the key cache: another process may have accepted this request before we accepted the one
/// that we know, and then that one reused the key.
async fn owns_record(ingress: &Ingress, identity: Identity) -> bool {
    look(ingress, identity).await.fingerprint() == Some(identity.fingerprint)
}

/// A request's place among those that wait, and where its reply will come.
struct Waiting {
    waiter: Waiter,
    reply_to: String,
}

/// `None` if the client does not wait, or no reply can come just now.
fn register(ingress: &Ingress, submission: &Submission, identity: Identity) -> Option<Waiting> {
    submission.steering.wait?;
    let reply_to = ingress.reply_queue().name()?;
    let waiter = ingress.waiters().register(identity.command_id)?;
    Some(Waiting { waiter, reply_to })
}

/// The accepted command with its receipt: before the publish, so that nothing is accepted that could not be answered for.
pub(crate) fn sign(
    ingress: &Ingress,
    submission: &Submission,
    identity: Identity,
    accepted_at: Timestamp,
) -> Result<Acceptance, ProblemResponse> {
    let Identity {
        command_id,
        order_id,
        producer,
        fingerprint,
        ..
    } = identity;
    let receipt = ingress
        .receipt_keys()
        .sign(&Receipt {
            command_id,
            order_id,
            producer,
            fingerprint,
            accepted_at,
        })
        .map_err(|_| {
            let detail = "the server is starting; the command was not accepted";
            ProblemResponse::new(ProblemCode::NotReady, detail).retry_after(RETRY_AFTER)
        })?;
    Ok(Acceptance {
        route: submission.route,
        identity,
        action_type: submission.action.name(),
        accepted_at,
        receipt,
    })
}

/// Returns when the command is durably stored.
async fn publish(
    ingress: &Ingress,
    submission: &Submission,
    accepted: &Acceptance,
    waiting: Option<&Waiting>,
) -> Result<(), ProblemResponse> {
    let reply_to = waiting.map(|waiting| waiting.reply_to.clone());
    let envelope = envelope(submission, accepted, reply_to);
    match ingress
        .publisher()
        .publish(accepted.identity.order_id, envelope)
        .await
    {
        Ok(()) => Ok(()),
        // The worker's reply proves that it was stored, whatever became of the confirm.
        Err(PublishError::Unknown) if waiting.is_some_and(|waiting| waiting.waiter.has_reply()) => {
            Ok(())
        }
        Err(error) => Err(refused(error, accepted.identity)),
    }
}

/// The command as it travels.
pub(crate) fn envelope(
    submission: &Submission,
    accepted: &Acceptance,
    reply_to: Option<String>,
) -> Vec<u8> {
    let envelope = Envelope {
        command_id: accepted.identity.command_id,
        order_id: accepted.identity.order_id,
        action_type: accepted.action_type.to_owned(),
        data: to_raw_value(&submission.data).expect("a JSON value is always JSON"),
        expected_version: submission.steering.expected_version,
        producer: accepted.identity.producer,
        idempotency_key: submission
            .steering
            .key
            .clone()
            .map(IdempotencyKey::into_string),
        fingerprint: accepted.identity.fingerprint,
        accepted_at: accepted.accepted_at,
        traceparent: submission
            .traceparent
            .as_ref()
            .map(|trace| Traceparent::as_str(trace).to_owned()),
        reply_to,
    };
    envelope.encode()
}

/// Not accepted, mostly 503. Only `Unknown` leaves the client in doubt, and then says what makes a retry safe.
pub(crate) fn refused(error: PublishError, identity: Identity) -> ProblemResponse {
    let (code, detail) = match error {
        PublishError::ShardFull => (
            ProblemCode::ShardFull,
            "too many commands wait before it; it was not stored",
        ),
        PublishError::Unavailable => (ProblemCode::BrokerUnavailable, "the command was not stored"),
        PublishError::Preceding => (
            ProblemCode::PrecedingNotAccepted,
            "a line before it for the same order was not accepted; it was not stored",
        ),
        PublishError::NoGeneration => (
            ProblemCode::NotReady,
            "no shards take commands now; it was not stored",
        ),
        PublishError::Unknown => return outcome_unknown(identity),
    };
    ProblemResponse::new(code, detail).retry_after(RETRY_AFTER)
}

fn outcome_unknown(identity: Identity) -> ProblemResponse {
    let Identity {
        command_id,
        repeatable,
        ..
    } = identity;
    // Without a receipt: it would say that the command was accepted, and that is what nobody knows.
    let location = format!("/v1/commands/{command_id}");
    let detail = if repeatable {
        "the command may be stored or not; sending the same request again is safe and settles it"
            .to_owned()
    } else {
        format!(
            "the command may be stored or not, and without an Idempotency-Key sending it again may do it twice; \
             if it was stored, {location} shows it once it is decided"
        )
    };
    let mut problem = Problem::new(ProblemCode::OutcomeUnknown, detail);
    problem.retryable = repeatable;
    let location = HeaderValue::try_from(location).expect("an id is plain ASCII");
    ProblemResponse::from(problem)
        .retry_after(RETRY_AFTER)
        .with_header(LOCATION, location)
}

fn name_span(identity: Identity) {
    let span = tracing::Span::current();
    span.record("order.id", tracing::field::display(identity.order_id));
    span.record("command.id", tracing::field::display(identity.command_id));
}
