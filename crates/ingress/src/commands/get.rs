//! `GET /v1/commands/{command_id}`: what became of a command; with its receipt also before that is recorded.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use orderly_domain::{CommandId, ProducerId};
use orderly_http::{Authorized, Caller, ProblemResponse, Requirement};
use orderly_protocol::api_key::Scope;
use orderly_protocol::receipt::Receipt;
use orderly_protocol::{
    CommandLinks, CommandResource, CommandStatus, Fingerprint, ProblemCode, Timestamp,
};
use orderly_store::ParkedCommand;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use crate::path::IdInPath;
use crate::reuse::reused;
use crate::standing::{DatabaseAway, Record, look_up};
use crate::{Ingress, answer};

/// How long a receipt is good for: as long as outcomes are kept at least. Later, "no record" no longer means "queued".
const RECEIPT_LIFETIME: Duration = Duration::days(30);

/// Seconds after which a look that found no database may be repeated.
const RETRY_AFTER: u32 = 1;

/// Senders see their own commands, readers all.
pub(crate) struct CommandsWriteOrOrdersRead;

impl Requirement for CommandsWriteOrOrdersRead {
    const ANY_OF: &'static [Scope] = &[Scope::CommandsWrite, Scope::OrdersRead];
}

#[derive(Deserialize)]
pub(crate) struct Parameters {
    receipt: Option<String>,
}

#[tracing::instrument(name = "ingress.commands.get", skip_all, fields(command.id = %command_id))]
pub(crate) async fn get(
    State(ingress): State<Ingress>,
    authorized: Authorized<CommandsWriteOrOrdersRead>,
    IdInPath(command_id): IdInPath<CommandId>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, ProblemResponse> {
    let caller = &authorized.caller;
    let Query(parameters) = parameters.map_err(|_| {
        ProblemResponse::new(
            ProblemCode::InvalidParameter,
            "the query is not readable or has a parameter twice",
        )
    })?;
    let receipt = match &parameters.receipt {
        Some(token) => Some(Presented::verify(&ingress, caller, command_id, token).await?),
        None => None,
    };
    let record = look_up(ingress.store(), command_id).await.map_err(|DatabaseAway| {
        let detail = "what became of the command cannot be read right now; an accepted command is not lost";
        ProblemResponse::new(ProblemCode::DatabaseUnavailable, detail).retry_after(RETRY_AFTER)
    })?;
    let resource = match record {
        Record::Decided(outcome) => {
            own(caller, outcome.producer, command_id)?;
            check_receipt(receipt.as_ref(), outcome.fingerprint)?;
            CommandResource::from(&outcome)
        }
        Record::Parked(parked) => {
            own(caller, parked.producer, command_id)?;
            check_receipt(receipt.as_ref(), parked.fingerprint)?;
            parked_resource(parked, receipt.as_ref())
        }
        Record::Nothing => receipt
            .ok_or_else(|| not_found(command_id))?
            .queued(OffsetDateTime::now_utc())?,
    };
    Ok(answer::command(&resource))
}

/// A receipt whose signature holds, for this command, in the hands of somebody who may see it.
struct Presented<'a> {
    receipt: Receipt,
    token: &'a str,
}

impl<'a> Presented<'a> {
    async fn verify(
        ingress: &Ingress,
        caller: &Caller,
        command_id: CommandId,
        token: &'a str,
    ) -> Result<Self, ProblemResponse> {
        let verified = ingress.receipt_keys().verify(token).await.map_err(|_| {
            let detail = "the server is starting; receipts cannot be checked yet";
            ProblemResponse::new(ProblemCode::NotReady, detail).retry_after(RETRY_AFTER)
        })?;
        match verified {
            Ok(receipt) if receipt.command_id == command_id => {
                own(caller, receipt.producer, command_id)?;
                Ok(Self { receipt, token })
            }
            _ => Err(ProblemResponse::new(
                ProblemCode::ReceiptInvalid,
                "this is no receipt of this command",
            )),
        }
    }

    /// An accepted command of which nothing is recorded.
    fn queued(&self, now: Timestamp) -> Result<CommandResource, ProblemResponse> {
        if now - self.receipt.accepted_at > RECEIPT_LIFETIME {
            let detail = "the receipt is older than 30 days, and no record of the command is left";
            return Err(ProblemResponse::new(ProblemCode::ReceiptExpired, detail));
        }
        Ok(self.receipt.resource(self.token))
    }
}

/// Another producer's command is as good as none, except for readers of all orders.
fn own(
    caller: &Caller,
    producer: ProducerId,
    command_id: CommandId,
) -> Result<(), ProblemResponse> {
    if caller.producer == producer || caller.may(Scope::OrdersRead) {
        return Ok(());
    }
    Err(not_found(command_id))
}

/// The record is of the first request under its id; a receipt of another one was for a reused key.
fn check_receipt(
    receipt: Option<&Presented<'_>>,
    recorded: Fingerprint,
) -> Result<(), ProblemResponse> {
    match receipt.map(|presented| &presented.receipt) {
        Some(receipt) if receipt.fingerprint != recorded => Err(reused(
            receipt.command_id,
            receipt.producer,
            receipt.order_id,
        )),
        _ => Ok(()),
    }
}

fn not_found(command_id: CommandId) -> ProblemResponse {
    let detail = format!(
        "no outcome of command {command_id} is recorded; with its receipt a queued one is shown too"
    );
    ProblemResponse::new(ProblemCode::NotFound, detail)
}

fn parked_resource(parked: ParkedCommand, receipt: Option<&Presented<'_>>) -> CommandResource {
    CommandResource {
        command_id: parked.command_id,
        order_id: parked.order_id,
        action_type: Some(parked.action_type),
        status: CommandStatus::Parked,
        version: None,
        rejection: None,
        accepted_at: parked.accepted_at,
        decided_at: None,
        links: CommandLinks::new(
            parked.command_id,
            parked.order_id,
            receipt.map(|presented| presented.token),
        ),
    }
}
