//! Where a command stands, as far as the database says.

use std::error::Error;
use std::time::Duration;

use orderly_domain::{CommandId, Version};
use orderly_protocol::{CommandOutcome, Fingerprint, Outcome, RejectionBody, Reply, Timestamp};
use orderly_store::{ParkedCommand, Store, StoreError};

/// How long one look may take: three reads by primary key. Longer means that the database is away.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// What is recorded of a command.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    /// It ended.
    Decided(CommandOutcome),
    /// It waits in its order's lane.
    Parked(ParkedCommand),
    /// Nothing: queued, or never accepted.
    Nothing,
}

/// The database gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DatabaseAway;

/// Looks a command up.
pub(crate) async fn look_up(store: &Store, command_id: CommandId) -> Result<Record, DatabaseAway> {
    match tokio::time::timeout(LOOK_TIMEOUT, read(store, command_id)).await {
        Ok(Ok(record)) => Ok(record),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn Error, command.id = %command_id, "cannot read a command");
            Err(DatabaseAway)
        }
        Err(_) => {
            tracing::warn!(command.id = %command_id, "reading a command took too long");
            Err(DatabaseAway)
        }
    }
}

async fn read(store: &Store, command_id: CommandId) -> Result<Record, StoreError> {
    if let Some(outcome) = store.outcome(command_id).await? {
        return Ok(Record::Decided(outcome));
    }
    if let Some(parked) = store.parked(command_id).await? {
        return Ok(Record::Parked(parked));
    }
    // It may have left its lane between the two reads.
    Ok(store
        .outcome(command_id)
        .await?
        .map_or(Record::Nothing, Record::Decided))
}

/// Where an accepted command stands, as its sender is told.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Accepted, and nothing more is known.
    Queued,
    /// Waits in its order's lane.
    Parked {
        /// Of the request that became the command.
        fingerprint: Fingerprint,
    },
    /// It ended.
    Decided(Verdict),
}

/// How a command ended.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Of the request that owns the outcome.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) outcome: Outcome,
    pub(crate) version: Version,
    /// Present unless it was applied.
    pub(crate) rejection: Option<RejectionBody>,
    /// Unknown to a reply.
    pub(crate) decided_at: Option<Timestamp>,
}

impl Standing {
    /// Of the request that became the command, if something is recorded.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        match self {
            Self::Queued => None,
            Self::Parked { fingerprint } => Some(*fingerprint),
            Self::Decided(verdict) => Some(verdict.fingerprint),
        }
    }
}

impl From<Record> for Standing {
    fn from(record: Record) -> Self {
        match record {
            Record::Decided(outcome) => Self::Decided(outcome.into()),
            Record::Parked(parked) => Self::Parked {
                fingerprint: parked.fingerprint,
            },
            Record::Nothing => Self::Queued,
        }
    }
}

impl From<CommandOutcome> for Verdict {
    fn from(outcome: CommandOutcome) -> Self {
        Self {
            fingerprint: outcome.fingerprint,
            outcome: outcome.outcome,
            version: outcome.version,
            rejection: outcome.rejection,
            decided_at: Some(outcome.decided_at),
        }
    }
}

impl From<Reply> for Verdict {
    fn from(reply: Reply) -> Self {
        let rejection = reply.code.map(|code| RejectionBody {
            code,
            detail: "the command was not applied; its record says why".to_owned(),
            errors: Vec::new(),
            allowed_commands: Vec::new(),
        });
        Self {
            fingerprint: reply.fingerprint,
            outcome: reply.outcome,
            version: reply.version,
            rejection,
            decided_at: None,
        }
    }
}
