//! What a client is told of its command: 202 with where it stands, or its outcome.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use orderly_domain::Version;
use orderly_http::ProblemResponse;
use orderly_protocol::{CommandLinks, CommandResource, CommandStatus, Outcome, Problem, Timestamp};

use crate::header::Wait;
use crate::reuse::reused;
use crate::standing::{Standing, Verdict};
use crate::submission::{Identity, Route};

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Seconds after which to look at a queued command again: most are decided within milliseconds.
const LOOK_AFTER: u32 = 1;

/// Seconds after which to look at a parked command again: a person has to release it.
const LOOK_AFTER_PARKED: u32 = 60;

/// An accepted command, as its answers name it.
#[derive(Clone, Debug)]
pub(crate) struct Acceptance {
    pub(crate) route: Route,
    pub(crate) identity: Identity,
    pub(crate) action_type: &'static str,
    pub(crate) accepted_at: Timestamp,
    pub(crate) receipt: String,
}

impl Acceptance {
    /// 202 with where the command stands.
    pub(crate) fn standing(&self, standing: Standing) -> Result<Response, ProblemResponse> {
        self.check_owner(&standing)?;
        let resource = self.resource(standing);
        let location = header(&resource.links.command);
        let mut response = (
            StatusCode::ACCEPTED,
            [(LOCATION, location)],
            Json(&resource),
        )
            .into_response();
        if let Some(seconds) = look_after(resource.status) {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(no_store(response))
    }

    /// The command with where it stands, as a line of a batch's answer.
    pub(crate) fn line(&self, standing: Standing) -> Result<CommandResource, ProblemResponse> {
        self.check_owner(&standing)?;
        Ok(self.resource(standing))
    }

    /// The outcome, or 202 if there is none.
    pub(crate) fn outcome(
        &self,
        standing: Standing,
        wait: Wait,
    ) -> Result<Response, ProblemResponse> {
        self.check_owner(&standing)?;
        let Standing::Decided(verdict) = standing else {
            let response = self.standing(standing)?;
            return Ok(with_header(response, PREFERENCE_APPLIED, wait.applied()));
        };
        if let (Outcome::Rejected | Outcome::Discarded, Some(rejection)) =
            (verdict.outcome, &verdict.rejection)
        {
            let problem = Problem::rejection(rejection, self.route.data_pointer());
            return Err(
                ProblemResponse::from(problem).with_header(PREFERENCE_APPLIED, wait.applied())
            );
        }
        let response = self.applied(verdict);
        Ok(with_header(response, PREFERENCE_APPLIED, wait.applied()))
    }

    fn applied(&self, verdict: Verdict) -> Response {
        let etag = order_etag(verdict.version);
        let resource = self.resource(Standing::Decided(verdict));
        let mut response = Json(&resource).into_response();
        response.headers_mut().insert(ETAG, etag);
        if matches!(self.route, Route::PlacePost | Route::PlacePut) {
            *response.status_mut() = StatusCode::CREATED;
            response
                .headers_mut()
                .insert(LOCATION, header(&resource.links.order));
        }
        no_store(response)
    }

    /// Another request may own the id: then this one was never applied, and never will be.
    fn check_owner(&self, standing: &Standing) -> Result<(), ProblemResponse> {
        let Identity {
            command_id,
            producer,
            order_id,
            fingerprint,
            ..
        } = self.identity;
        match standing.fingerprint() {
            Some(owner) if owner != fingerprint => Err(reused(command_id, producer, order_id)),
            _ => Ok(()),
        }
    }

    fn resource(&self, standing: Standing) -> CommandResource {
        let Identity {
            command_id,
            order_id,
            ..
        } = self.identity;
        let mut resource = CommandResource {
            command_id,
            order_id,
            action_type: Some(self.action_type.to_owned()),
            status: CommandStatus::Queued,
            version: None,
            rejection: None,
            accepted_at: self.accepted_at,
            decided_at: None,
            links: CommandLinks::new(command_id, order_id, Some(&self.receipt)),
        };
        match standing {
            Standing::Queued => {}
            Standing::Parked { .. } => resource.status = CommandStatus::Parked,
            Standing::Decided(verdict) => {
                resource.status = verdict.outcome.into();
                resource.version = Some(verdict.version);
                resource.rejection = verdict.rejection;
                resource.decided_at = verdict.decided_at;
            }
        }
        resource
    }
}

/// Marks an answer as that of a request which was accepted before.
pub(crate) fn replayed(
    answer: Result<Response, ProblemResponse>,
) -> Result<Response, ProblemResponse> {
    let yes = HeaderValue::from_static("true");
    match answer {
        Ok(response) => Ok(with_header(response, IDEMPOTENT_REPLAYED, yes)),
        Err(problem) => Err(problem.with_header(IDEMPOTENT_REPLAYED, yes)),
    }
}

/// 200 with a command; says when to look again if it can still change.
pub(crate) fn command(resource: &CommandResource) -> Response {
    let mut response = Json(resource).into_response();
    if let Some(seconds) = look_after(resource.status) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    no_store(response)
}

fn look_after(status: CommandStatus) -> Option<u32> {
    match status {
        CommandStatus::Queued => Some(LOOK_AFTER),
        CommandStatus::Parked => Some(LOOK_AFTER_PARKED),
        CommandStatus::Applied | CommandStatus::Rejected | CommandStatus::Discarded => None,
    }
}

fn order_etag(version: Version) -> HeaderValue {
    header(&format!("\"v{version}\""))
}

fn no_store(response: Response) -> Response {
    with_header(
        response,
        CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    )
}

fn with_header(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}

/// Ids, versions and receipts are plain ASCII.
fn header(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("plain ASCII is a header value")
}
