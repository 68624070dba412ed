//! A control command on its shard: part after part, each committed, published and answered before the next begins.

use orderly_broker::Turn;
use orderly_crashpoint::{CrashPoint, reach};
use orderly_store::Fence;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Serving;
use super::apply::{TRANSIENT_LIMIT, at_fault, give_up};
use crate::failure::ShardError;
use crate::intake::Batch;

impl Serving<'_> {
    /// Does what a control command asks for. When one of the commands that it releases is at fault, they run one at a time, and
    /// the one at fault becomes the head of the lane again.
    ///
    /// A stop between two parts leaves the delivery unacked: whoever owns the shard next goes on there.
    pub(super) async fn release(
        &self,
        fence: &Fence,
        mut batch: Batch,
        mut turn: Turn,
        stop: &CancellationToken,
    ) -> Result<(), ShardError> {
        loop {
            let deadline = Instant::now() + TRANSIENT_LIMIT;
            let attempt = Box::pin(self.attempt(fence, &mut batch, deadline));
            match turn.during(attempt).await {
                Ok(committed) if committed.more => {
                    self.hand_part_to_finisher(committed).await?;
                    reach(CrashPoint::AfterReleasePart)?;
                    batch.part_is_done();
                }
                Ok(committed) => return self.hand_to_finisher(committed, batch).await,
                Err(error) if batch.is_given_up() => return Err(give_up(error)),
                Err(error) => {
                    let why = at_fault(error)?;
                    tracing::error!(shard = %fence.shard, reason = %why.detail, "a released command is at fault");
                    batch.narrow(why);
                }
            }
            let Some(next) = self.turn(stop).await? else {
                return Ok(());
            };
            turn = next;
        }
    }
}
