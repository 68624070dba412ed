//! `POST /v1/commands/batch`: many commands in one request, one a line; one receipt or problem a line comes back, in order.
//!
//! All lines take their places in their shards before the first one is answered. Lines of one order keep their order, and
//! end where one of them is not accepted: what follows must not be applied to an order that lacks it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::ready;
use std::mem;
use std::pin::Pin;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use orderly_broker::PublishError;
use orderly_domain::OrderId;
use orderly_http::{
    Authorized, Caller, IdempotencyKey, NdjsonBody, ProblemResponse, RequestContext, RequestId,
};
use orderly_protocol::{
    BatchCommand, CommandResource, ProblemCode, parse_batch_command, parse_json,
};
use serde::Serialize;
use time::OffsetDateTime;

use super::post::CommandsOrPaymentsWrite;
use crate::Ingress;
use crate::accept::{accepted_before, envelope, refused, sign, stored};
use crate::answer::Acceptance;
use crate::header::{Steering, refuse_steering};
use crate::standing::Standing;
use crate::submission::{Route, Submission, invalid_command};
use crate::wait::look;

/// Answers that are ready go out together, up to so many: 30 kB a write.
const LINES_AT_A_TIME: usize = 64;

/// What one line of the answer is made of.
enum Line {
    /// It goes to its shard.
    New(Box<Acceptance>, Vec<u8>),
    /// This process accepted it before.
    Again(Box<Acceptance>),
    Refused(ProblemResponse),
}

/// A line of the answer that may still have to be waited for.
type Answer = Pin<Box<dyn Future<Output = Bytes> + Send>>;

#[tracing::instrument(name = "ingress.commands.batch", skip_all)]
pub(crate) async fn batch(
    State(ingress): State<Ingress>,
    authorized: Authorized<CommandsOrPaymentsWrite>,
    context: RequestContext,
    headers: HeaderMap,
    body: NdjsonBody,
) -> Result<Response, ProblemResponse> {
    refuse_steering(&headers)?;
    let started = Instant::now();
    let mut reader = Reader {
        ingress: &ingress,
        caller: &authorized.caller,
        context: &context,
        ended: HashSet::new(),
    };
    let mut lines = Vec::new();
    for line in body.lines() {
        lines.push(reader.read(line).await);
        // A full batch is milliseconds of work; other requests share this thread.
        tokio::task::consume_budget().await;
    }
    let answers = answers(&ingress, &context, lines, started);
    let body = stream::iter(answers)
        .then(|answer| answer)
        .ready_chunks(LINES_AT_A_TIME)
        .map(|lines| Ok::<_, Infallible>(lines.concat()));
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Reads lines one after the other.
struct Reader<'a> {
    ingress: &'a Ingress,
    caller: &'a Caller,
    context: &'a RequestContext,
    /// Orders of which a line was refused.
    ended: HashSet<OrderId>,
}

impl Reader<'_> {
    async fn read(&mut self, line: &[u8]) -> Line {
        self.prepare(line)
            .await
            .unwrap_or_else(|(order_id, problem)| {
                self.ended.extend(order_id);
                Line::Refused(problem)
            })
    }

    /// Everything up to the publish. A refusal names the line's order, if that is known.
    async fn prepare(&self, line: &[u8]) -> Result<Line, (Option<OrderId>, ProblemResponse)> {
        let line = parse_json(line).map_err(|fault| {
            let problem = ProblemResponse::new(ProblemCode::MalformedJson, fault.detail);
            (None, problem)
        })?;
        let line = parse_batch_command(line)
            .map_err(|(order_id, faults)| (order_id, invalid_command(faults)))?;
        let named = line.order_id;
        let submission = self.submission(line);
        let identity = submission.identify();
        let checked = submission.authorize().and_then(|()| submission.check());
        checked.map_err(|problem| (Some(identity.order_id), problem))?;
        if self.ended.contains(&identity.order_id) {
            let problem = refused(PublishError::Preceding, identity);
            return Err((named, problem));
        }
        if let Some(known) = self.ingress.key_cache().get(identity.command_id) {
            // Before anything is published: if the key was another request's, the lines after it end here.
            let accepted = accepted_before(self.ingress, &submission, identity, known).await;
            let accepted = accepted.map_err(|problem| (Some(identity.order_id), problem))?;
            return Ok(Line::Again(Box::new(accepted)));
        }
        let accepted = sign(
            self.ingress,
            &submission,
            identity,
            OffsetDateTime::now_utc(),
        )
        .map_err(|problem| (Some(identity.order_id), problem))?;
        let envelope = envelope(&submission, &accepted, None);
        Ok(Line::New(Box::new(accepted), envelope))
    }

    fn submission(&self, line: BatchCommand) -> Submission {
        Submission {
            route: Route::Batch,
            caller: self.caller.clone(),
            steering: Steering {
                key: line
                    .idempotency_key
                    .map(|key| IdempotencyKey::new(key).expect("a line's key was checked")),
                expected_version: line.expected_version,
                wait: None,
            },
            traceparent: self.context.traceparent.clone(),
            order_id: line.order_id,
            action: line.action,
            data: line.data,
        }
    }
}

/// Publishes what is new, all at once and in order; one answer a line.
fn answers(
    ingress: &Ingress,
    context: &RequestContext,
    mut lines: Vec<Line>,
    started: Instant,
) -> Vec<Answer> {
    let fresh = lines.iter_mut().filter_map(|line| match line {
        Line::New(accepted, envelope) => Some((accepted.identity.order_id, mem::take(envelope))),
        Line::Again(_) | Line::Refused(_) => None,
    });
    let mut published = ingress
        .publisher()
        .publish_together(fresh.collect())
        .into_iter();
    lines
        .into_iter()
        .map(|line| -> Answer {
            let ingress = ingress.clone();
            let request_id = context.request_id.clone();
            match line {
                Line::New(accepted, _) => {
                    let published = published.next().expect("one for each new line");
                    Box::pin(async move {
                        write(
                            new(&ingress, &accepted, published, started).await,
                            &request_id,
                        )
                    })
                }
                Line::Again(accepted) => {
                    Box::pin(async move { write(again(&ingress, &accepted).await, &request_id) })
                }
                Line::Refused(problem) => Box::pin(ready(write(Err(problem), &request_id))),
            }
        })
        .collect()
}

async fn new(
    ingress: &Ingress,
    accepted: &Acceptance,
    published: impl Future<Output = Result<(), PublishError>>,
    started: Instant,
) -> Result<Taken, ProblemResponse> {
    published
        .await
        .map_err(|error| refused(error, accepted.identity))?;
    stored(ingress, accepted, started);
    Ok(Taken {
        command: accepted.line(Standing::Queued)?,
        idempotent_replayed: false,
    })
}

async fn again(ingress: &Ingress, accepted: &Acceptance) -> Result<Taken, ProblemResponse> {
    Ok(Taken {
        command: accepted.line(look(ingress, accepted.identity).await)?,
        idempotent_replayed: true,
    })
}

/// An accepted command; the flag stands for the header of a single request.
#[derive(Serialize)]
struct Taken {
    #[serde(flatten)]
    command: CommandResource,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    idempotent_replayed: bool,
}

/// One line, with its end.
fn write(answer: Result<Taken, ProblemResponse>, request_id: &RequestId) -> Bytes {
    let mut line = match answer {
        Ok(taken) => serde_json::to_vec(&taken),
        Err(refusal) => {
            let problem = refusal.problem().clone();
            serde_json::to_vec(&problem.with_request_id(request_id.as_str()))
        }
    }
    .expect("both are plain data");
    line.push(b'\n');
    line.into()
}
