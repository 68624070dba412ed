//! A batch on its shard: tried again while its errors pass by themselves, then one command at a time, and the one at fault
//! parked.

use std::time::Duration;

use orderly_broker::{Backoff, Turn};
use orderly_crashpoint::{CrashPoint, reach};
use orderly_store::{Fence, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Context, Serving};
use crate::failure::{ProcessError, ShardError};
use crate::intake::Batch;
use crate::item::Undecidable;
use crate::process::{Committed, process};
use crate::release::process_part;

/// How long a batch, and what it falls into when one of its commands is at fault, is tried again in place before its
/// subscription is given up. A delivery is never held for minutes: the broker's consumer timeout would take it away.
pub(super) const TRANSIENT_LIMIT: Duration = Duration::from_secs(10);

impl Serving<'_> {
    /// Applies a batch; when one of its commands is at fault, each runs alone and the one at fault is parked.
    pub(super) async fn apply(
        &self,
        fence: &Fence,
        mut batch: Batch,
        turn: Turn,
        stop: &CancellationToken,
    ) -> Result<(), ShardError> {
        if batch.control().is_some() {
            return self.release(fence, batch, turn, stop).await;
        }
        let deadline = Instant::now() + TRANSIENT_LIMIT;
        let _underway = self.load.batch();
        // Boxed: a batch's future is 10 kB, and would be moved from one to the next.
        let attempt = Box::pin(self.attempt(fence, &mut batch, deadline));
        let reason = match turn.during(attempt).await {
            Ok(committed) => return self.hand_to_finisher(committed, batch).await,
            Err(error) => at_fault(error)?,
        };
        reach(CrashPoint::BeforeSingles)?;
        for mut single in batch.into_singles() {
            if stop.is_cancelled() {
                // Nothing after it may run either: the caller ends before it takes another batch.
                return Ok(());
            }
            let committed = match self.attempt(fence, &mut single, deadline).await {
                Ok(committed) => committed,
                Err(error) => {
                    let why = at_fault(error)?;
                    tracing::error!(shard = %fence.shard, reason = %why.detail, first = %reason.detail, "parking a command at fault");
                    reach(CrashPoint::BeforeParking)?;
                    single.give_up(why);
                    let parking = self.attempt(fence, &mut single, deadline);
                    parking.await.map_err(give_up)?
                }
            };
            self.hand_to_finisher(committed, single).await?;
        }
        Ok(())
    }

    /// Runs a batch, again while its errors pass by themselves. A suspect's attempt is recorded around it.
    pub(super) async fn attempt(
        &self,
        fence: &Fence,
        batch: &mut Batch,
        deadline: Instant,
    ) -> Result<Committed, ProcessError> {
        let Context {
            store,
            owner,
            attempts,
            ..
        } = self.context;
        if !batch.suspect {
            return self.retry(fence, batch, deadline).await;
        }
        let attempt = attempts.begin(store, owner, batch).await?;
        let result = self.underway(fence, batch, deadline).await;
        attempts.end(store, attempt).await;
        result
    }

    /// What happens while an attempt is open.
    async fn underway(
        &self,
        fence: &Fence,
        batch: &Batch,
        deadline: Instant,
    ) -> Result<Committed, ProcessError> {
        reach(CrashPoint::AfterAttemptBegin)?;
        let committed = self.retry(fence, batch, deadline).await?;
        reach(CrashPoint::BeforeAttemptEnd)?;
        Ok(committed)
    }

    async fn retry(
        &self,
        fence: &Fence,
        batch: &Batch,
        deadline: Instant,
    ) -> Result<Committed, ProcessError> {
        let mut backoff = Backoff::between(Duration::from_millis(5), Duration::from_secs(1));
        loop {
            match self.once(fence, batch).await {
                Err(ProcessError::Transient(error)) if Instant::now() < deadline => {
                    let sqlstate = error.sqlstate().unwrap_or_default().to_owned();
                    metrics::counter!("orderly_db_retries_total", "sqlstate" => sqlstate)
                        .increment(1);
                    tokio::time::sleep(backoff.next_pause()).await;
                }
                Err(ProcessError::Fenced) => {
                    metrics::counter!("orderly_fenced_writes_total").increment(1);
                    return Err(ProcessError::Fenced);
                }
                result => return result,
            }
        }
    }

    async fn once(&self, fence: &Fence, batch: &Batch) -> Result<Committed, ProcessError> {
        let Context { store, skip, .. } = self.context;
        match batch.control() {
            None => process(store, fence, batch, skip).await,
            Some(given) => process_part(store, fence, given).await,
        }
    }
}

/// Why the lane must hold a command, if the error says that a command is at fault.
pub(super) fn at_fault(error: ProcessError) -> Result<Undecidable, ShardError> {
    match error {
        ProcessError::AtFault(error) => Ok(Undecidable {
            code: "refused_by_database",
            detail: describe_refusal(&error),
        }),
        ProcessError::NotLoaded(error) => Ok(Undecidable {
            code: "stock_not_loaded",
            detail: error.to_string(),
        }),
        error => Err(give_up(error)),
    }
}

/// What was refused, without the values: they may be personal.
fn describe_refusal(error: &StoreError) -> String {
    let sqlstate = error.sqlstate().map(|state| format!(", SQLSTATE {state}"));
    let constraint = error
        .constraint()
        .map(|name| format!(", constraint {name}"));
    format!(
        "{error}{}{}",
        sqlstate.unwrap_or_default(),
        constraint.unwrap_or_default()
    )
}

pub(super) fn give_up(error: ProcessError) -> ShardError {
    match error {
        ProcessError::Fenced => ShardError::NotOurs,
        ProcessError::Transient(error)
        | ProcessError::Systemic(error)
        | ProcessError::AtFault(error) => ShardError::Database(error),
        ProcessError::NotLoaded(_) => ShardError::NotConfirmed("a parked command needs no stock"),
    }
}
