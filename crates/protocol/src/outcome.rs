//! What became of a command: as it is recorded, and as it is shown.

use orderly_domain::{CommandId, Order, OrderId, ProducerId, Rejection, Version, allowed_commands};
use serde::{Deserialize, Serialize};

use crate::field::FieldFault;
use crate::timestamp::{self, Timestamp};
use crate::{Envelope, Fingerprint, serde_id};

/// How a command ended. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It made one event.
    Applied,
    /// The rules said no.
    Rejected,
    /// Skipped or superseded by a person.
    Discarded,
}

impl Outcome {
    /// Its name on the wire and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Discarded => "discarded",
        }
    }

    /// The outcome with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Applied, Self::Rejected, Self::Discarded]
            .into_iter()
            .find(|it| it.as_str() == name)
    }
}

/// Where a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandStatus {
    /// Accepted, not decided.
    Queued,
    /// Waiting in its order's lane.
    Parked,
    /// It made one event. Final.
    Applied,
    /// The rules said no. Final.
    Rejected,
    /// Skipped or superseded by a person. Final.
    Discarded,
}

impl CommandStatus {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Parked => "parked",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Discarded => "discarded",
        }
    }

    /// Whether it cannot change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Parked)
    }
}

impl From<Outcome> for CommandStatus {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Applied => Self::Applied,
            Outcome::Rejected => Self::Rejected,
            Outcome::Discarded => Self::Discarded,
        }
    }
}

/// Why a command was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectionBody {
    /// Stable code of the first failing class of checks.
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
    /// Every fault of that class; pointers into the command's `data`.
    #[serde(default)]
    pub errors: Vec<FieldFault>,
    /// What a producer could have sent instead, at the version it was decided against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_commands: Vec<String>,
}

impl RejectionBody {
    /// `rejection`, decided against `order`.
    #[must_use]
    pub fn new(rejection: &Rejection, order: Option<&Order>) -> Self {
        let allowed = allowed_commands(order)
            .into_iter()
            .map(str::to_owned)
            .collect();
        Self {
            allowed_commands: allowed,
            ..Self::from(rejection)
        }
    }
}

impl From<&Rejection> for RejectionBody {
    fn from(rejection: &Rejection) -> Self {
        Self {
            code: rejection.code.as_str().to_owned(),
            detail: rejection.detail.clone(),
            errors: rejection.faults.iter().map(FieldFault::from).collect(),
            allowed_commands: Vec::new(),
        }
    }
}

/// The record of a command's end, written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutcome {
    /// Which command.
    pub command_id: CommandId,
    /// Its order, which never existed if it was rejected for that.
    pub order_id: OrderId,
    /// Who sent it.
    pub producer: ProducerId,
    /// Name of the command.
    pub action_type: String,
    /// Of the request that owns this outcome.
    pub fingerprint: Fingerprint,
    /// How it ended.
    pub outcome: Outcome,
    /// Applied: the version it made; otherwise the version it was decided against, 0 without an order.
    pub version: Version,
    /// Why, unless it was applied.
    pub rejection: Option<RejectionBody>,
    /// When an ingress took it.
    pub accepted_at: Timestamp,
    /// When it was decided, by Postgres's clock.
    pub decided_at: Timestamp,
}

/// A command as `GET /v1/commands/{id}` shows it, and as a 202 answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResource {
    /// Its id.
    #[serde(with = "serde_id")]
    pub command_id: CommandId,
    /// Its order.
    #[serde(with = "serde_id")]
    pub order_id: OrderId,
    /// Name of the command; absent where only a receipt speaks for it.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub action_type: Option<String>,
    /// Where it stands.
    pub status: CommandStatus,
    /// Applied: the version it made; rejected or discarded: the version it was decided against.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "serde_id::optional_version"
    )]
    pub version: Option<Version>,
    /// Why it was not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<RejectionBody>,
    /// When it was accepted.
    #[serde(with = "timestamp")]
    pub accepted_at: Timestamp,
    /// When it was decided.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "timestamp::option"
    )]
    pub decided_at: Option<Timestamp>,
    /// Where to look next.
    pub links: CommandLinks,
}

/// Relative references of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLinks {
    /// The command itself, with its receipt if there is one.
    #[serde(rename = "self")]
    pub command: String,
    /// Its order.
    pub order: String,
}

impl CommandLinks {
    /// The links of a command. `receipt` lets its reader see it before its outcome is recorded.
    #[must_use]
    pub fn new(command_id: CommandId, order_id: OrderId, receipt: Option<&str>) -> Self {
        let command = match receipt {
            // The token's alphabet needs no escape in a query.
            Some(receipt) => format!("/v1/commands/{command_id}?receipt={receipt}"),
            None => format!("/v1/commands/{command_id}"),
        };
        Self {
            command,
            order: format!("/v1/orders/{order_id}"),
        }
    }
}

impl CommandResource {
    /// An accepted command without an outcome.
    #[must_use]
    pub fn queued(envelope: &Envelope, receipt: &str) -> Self {
        Self {
            command_id: envelope.command_id,
            order_id: envelope.order_id,
            action_type: Some(envelope.action_type.clone()),
            status: CommandStatus::Queued,
            version: None,
            rejection: None,
            accepted_at: envelope.accepted_at,
            decided_at: None,
            links: CommandLinks::new(envelope.command_id, envelope.order_id, Some(receipt)),
        }
    }
}

impl From<&CommandOutcome> for CommandResource {
    fn from(outcome: &CommandOutcome) -> Self {
        Self {
            command_id: outcome.command_id,
            order_id: outcome.order_id,
            action_type: Some(outcome.action_type.clone()),
            status: outcome.outcome.into(),
            version: Some(outcome.version),
            rejection: outcome.rejection.clone(),
            accepted_at: outcome.accepted_at,
            decided_at: Some(outcome.decided_at),
            links: CommandLinks::new(outcome.command_id, outcome.order_id, None),
        }
    }
}
