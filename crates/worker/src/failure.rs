//! What went wrong, sorted by what to do about it.

use std::time::Duration;

use orderly_broker::BrokerError;
use orderly_broker::topology::TopologyError;
use orderly_crashpoint::Injected;
use orderly_domain::SkuNotLoaded;
use orderly_store::{FaultClass, StoreError};
use thiserror::Error;

/// Why a batch was not committed.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    /// Somebody claimed the shard: give it up, write nothing.
    #[error("the shard was claimed by another worker")]
    Fenced,
    /// Refused by Postgres, so nothing of it was committed, and it passes by itself: run the batch again in place.
    #[error("the database asks to try again")]
    Transient(#[source] StoreError),
    /// One command of the batch is at fault.
    #[error("the batch cannot be written")]
    AtFault(#[source] StoreError),
    /// One command of the batch is at fault: it needs stock that was not locked.
    #[error("the batch cannot be decided")]
    NotLoaded(#[source] SkuNotLoaded),
    /// The database is away or does not fit: give the shard's subscription up and come back.
    #[error("the database cannot be used")]
    Systemic(#[source] StoreError),
}

impl From<StoreError> for ProcessError {
    fn from(error: StoreError) -> Self {
        match error.class() {
            FaultClass::Transient => Self::Transient(error),
            FaultClass::Data => Self::AtFault(error),
            FaultClass::Systemic => Self::Systemic(error),
        }
    }
}

/// As if Postgres had not answered: whether anything was committed is unknown.
impl From<Injected> for ProcessError {
    fn from(_: Injected) -> Self {
        Self::Systemic(not_answered())
    }
}

/// Why a subscription ended without being asked to.
#[derive(Debug, Error)]
pub(crate) enum ShardError {
    /// Somebody else claimed first, or the shard was taken from us: subscribe anew.
    #[error("the shard belongs to another worker")]
    NotOurs,
    /// A message of a schema this build does not know: leave it to a worker that does.
    #[error("the message has an unknown schema {schema:?}")]
    UnknownSchema {
        /// What its header says.
        schema: Option<String>,
    },
    /// The database is away or does not fit.
    #[error("the database cannot be used")]
    Database(#[source] StoreError),
    /// The broker's connection or channel is gone, or an event could not be published.
    #[error("the broker cannot be used")]
    Broker(#[source] BrokerError),
    /// The finisher has failed; it knows why.
    #[error("what follows a commit has failed")]
    FinisherFailed,
    /// Events of a committed batch, or forwarded commands, were not confirmed.
    #[error("a publish was not confirmed: {0}")]
    NotConfirmed(&'static str),
    /// The queue could lose or reorder commands: this worker ends.
    #[error("the queue is not as it must be")]
    BrokenQueue(#[source] TopologyError),
}

impl From<Injected> for ShardError {
    fn from(_: Injected) -> Self {
        Self::Database(not_answered())
    }
}

fn not_answered() -> StoreError {
    StoreError::TimedOut {
        after: Duration::ZERO,
    }
}
