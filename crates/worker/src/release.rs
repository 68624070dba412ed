//! The life of a control command: one part of a lane after the other, each a batch of its own, until there is nothing more to
//! release.
//!
//! Invariant: between two parts the lane says who releases it, and nothing of the order overtakes it. The outcome comes with the
//! last part, and the delivery is acked behind that one.

use orderly_crashpoint::{CrashPoint, reach};
use orderly_protocol::limits;
use orderly_store::{Fence, Store};
use tokio::time::Instant;

use crate::book::{Book, Release};
use crate::failure::ProcessError;
use crate::item::{ControlItem, Part};
use crate::process::Committed;

/// Does what a control command asks for, as far as one transaction goes. As [`crate::process::process`], it can be left at any
/// point and run again: what an earlier part did is in the lane.
///
/// # Errors
/// [`ProcessError`] says what to do about it. Nothing is committed, unless the commit itself failed.
pub(crate) async fn process_part(
    store: &Store,
    fence: &Fence,
    given: &ControlItem,
) -> Result<Committed, ProcessError> {
    let begun = Instant::now();
    let item = &given.item;

    // fence: the shard's row, locked before anything is read.
    let mut transaction = store
        .begin_batch(fence)
        .await?
        .ok_or(ProcessError::Fenced)?;
    reach(CrashPoint::AfterFence)?;

    // dedupe, load: the control command, its order, and the first commands of its lane.
    let found = transaction
        .dedupe_and_load(&[item.command_id], &[item.order_id])
        .await?;
    let commands = match given.part {
        Part::Full => limits::BATCH_COMMANDS,
        Part::One | Part::GivenUp(_) => 1,
    };
    let lane = transaction
        .load_lane(item.order_id, commands, limits::BATCH_BYTES)
        .await?;
    let at = transaction.at;
    let mut book = Book::new(fence.shard, at, found);
    let release = Release::of(&book, given, lane);
    // Another shard may have decided one of them under the same id: it must not happen again.
    let decided = transaction
        .dedupe_and_load(&release.command_ids(), &[])
        .await?;
    book.found_decided(decided);
    reach(CrashPoint::AfterDedupeAndLoad)?;

    // What earlier parts committed in an earlier delivery may never have been published: it goes out again, first, whether the
    // outcome is there already or not.
    let again = book.delivered_before(item);
    let events = transaction.events_of_deliveries(&again).await?;
    reach(CrashPoint::AfterEventsOfDeliveries)?;

    // load: the stock that this part can touch, locked in SKU order.
    let skus = book.wanted_skus(release.to_decide());
    book.stock(transaction.lock_stock(&skus).await?);
    reach(CrashPoint::AfterStock)?;

    // decide, evolve: in memory, in order.
    let more = book
        .control(given, release)
        .map_err(ProcessError::NotLoaded)?;
    reach(CrashPoint::AfterDecide)?;

    // write: what was decided, and what is left of the lane.
    let (writes, effects) = book.close();
    transaction.write(&writes).await?;
    reach(CrashPoint::AfterWrite)?;
    if !more {
        reach(CrashPoint::BeforeReleaseEnd)?;
    }

    // commit: from here on this part happened.
    transaction.commit().await?;
    reach(CrashPoint::AfterCommit)?;

    Ok(Committed {
        effects,
        more,
        ..Committed::of(writes, events, at, begun)
    })
}
