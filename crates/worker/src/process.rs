//! The life of a batch, from its fence to its commit. Publishing and acking follow in `finish`.

use orderly_crashpoint::{CrashPoint, reach};
use orderly_protocol::{Marker, Outcome, RecordedEvent, Timestamp};
use orderly_store::{BatchTransaction, Fence, NewOutcome, Store, Writes};
use tokio::time::Instant;

use crate::book::{Book, Effects};
use crate::failure::ProcessError;
use crate::intake::{Batch, Work};
use crate::skip::SkipUndecidable;

/// What a committed batch leaves to publish, answer and forward.
#[derive(Debug)]
pub(crate) struct Committed {
    /// Events in the order of the log: those of redelivered commands first, then the batch's own.
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) effects: Effects,
    pub(crate) decided: Vec<Decided>,
    /// Seconds from fence to commit.
    pub(crate) took: f64,
    /// More of a release is to come before the delivery is done.
    pub(crate) more: bool,
}

/// A command's outcome, as far as the metrics want it.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) action_type: String,
    pub(crate) outcome: Outcome,
    pub(crate) code: Option<String>,
    /// Seconds from accept to the fence of its batch.
    pub(crate) waited: f64,
}

/// Applies one batch in one transaction, its commands strictly one after the other.
///
/// Every step but the last can be left at any point and the batch run again. After a failed commit it is unknown whether
/// the batch was committed: then only its redelivery may run it again. Dedupe finds what was done, but only the mark of a
/// redelivery has its events published.
///
/// # Errors
/// [`ProcessError`] says what to do about it. Nothing is committed, but for the case above.
pub(crate) async fn process(
    store: &Store,
    fence: &Fence,
    batch: &Batch,
    skip: &SkipUndecidable,
) -> Result<Committed, ProcessError> {
    let begun = Instant::now();

    // fence: the shard's row, locked before anything is read.
    let mut transaction = store
        .begin_batch(fence)
        .await?
        .ok_or(ProcessError::Fenced)?;
    reach(CrashPoint::AfterFence)?;

    // dedupe: which command ids are taken? load: the orders and their lanes, in the same statement.
    let found = transaction
        .dedupe_and_load(&batch.command_ids(), &batch.order_ids())
        .await?;
    reach(CrashPoint::AfterDedupeAndLoad)?;
    let at = transaction.at;
    let mut book = Book::new(fence.shard, at, found);

    // What an earlier delivery committed may never have been published: its events go out again, before those of this batch.
    let again = book.taken_by_earlier_deliveries(batch);
    let events = transaction.events_of_deliveries(&again).await?;
    reach(CrashPoint::AfterEventsOfDeliveries)?;

    // load: the stock that they can touch, locked in SKU order.
    book.stock(
        transaction
            .lock_stock(&book.wanted_skus(batch.items()))
            .await?,
    );
    reach(CrashPoint::AfterStock)?;

    // decide, evolve: in memory, in order.
    book.decide(batch, skip).map_err(ProcessError::NotLoaded)?;
    reach(CrashPoint::AfterDecide)?;

    // write: one statement for all that was decided.
    let (writes, effects) = book.close();
    transaction.write(&writes).await?;
    record_markers(&mut transaction, fence, batch).await?;
    reach(CrashPoint::AfterWrite)?;

    // commit: from here on the batch happened.
    transaction.commit().await?;
    reach(CrashPoint::AfterCommit)?;

    Ok(Committed {
        effects,
        ..Committed::of(writes, events, at, begun)
    })
}

/// The markers of a resize: what the shard met, on record with what it met before.
async fn record_markers(
    transaction: &mut BatchTransaction,
    fence: &Fence,
    batch: &Batch,
) -> Result<(), ProcessError> {
    for work in &batch.work {
        match work {
            Work::Marker(Marker::First) => transaction.mark(fence.shard).await?,
            Work::Marker(Marker::Second) => transaction.drain(fence.shard).await?,
            _ => {}
        }
    }
    Ok(())
}

impl Committed {
    /// What was written `at` this time leaves, behind the events that go out `again`.
    pub(crate) fn of(
        writes: Writes,
        again: Vec<RecordedEvent>,
        at: Timestamp,
        begun: Instant,
    ) -> Self {
        let mut events = again;
        events.extend(writes.events.into_iter().map(|new| new.event));
        let outcomes = writes.outcomes.into_iter();
        Self {
            events,
            effects: Effects::default(),
            decided: outcomes.map(|outcome| Decided::new(outcome, at)).collect(),
            took: begun.elapsed().as_secs_f64(),
            more: false,
        }
    }
}

impl Decided {
    fn new(outcome: NewOutcome, at: Timestamp) -> Self {
        Self {
            action_type: outcome.action_type,
            outcome: outcome.outcome,
            code: outcome.rejection.map(|rejection| rejection.code),
            waited: (at - outcome.accepted_at).as_seconds_f64(),
        }
    }
}
