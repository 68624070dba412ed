//! One shard: subscribe, claim with the first delivery, apply batches, hand over. How a batch is tried is [`apply`]'s.

use std::sync::Arc;

use orderly_broker::topology::{self, TopologyError};
use orderly_broker::{Connection, Delivery, ShardSubscription, Turn, Turns};
use orderly_crashpoint::{CrashPoint, reach};
use orderly_protocol::ShardId;
use orderly_store::{Fence, GenerationWatch, Layout, Store};
use tokio_util::sync::CancellationToken;

use crate::attempt::Attempts;
use crate::failure::ShardError;
use crate::finish::{Finisher, Unfinished};
use crate::intake::{Batch, Intake, Work};
use crate::load::{InHand, Load, ShardLoad};
use crate::membership::{Membership, Tenure};
use crate::process::Committed;
use crate::reply::Replies;
use crate::served::Served;
use crate::skip::SkipUndecidable;

mod apply;
mod release;

/// What every shard of a worker shares.
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) owner: String,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) replies: Replies,
    pub(crate) skip: SkipUndecidable,
    pub(crate) layout: GenerationWatch,
    pub(crate) turns: Turns,
    pub(crate) membership: Membership,
    pub(crate) served: Served,
    pub(crate) load: Load,
}

/// The broker's two connections: a blocked publisher must not hold up acks.
pub(crate) struct Links {
    pub(crate) consuming: Connection,
    pub(crate) publishing: Connection,
}

/// Serves one subscription until `stop`: then it hands over and returns.
///
/// # Errors
/// [`ShardError`]: the subscription is closed, what it held goes back to the queue in order, nothing of it is lost.
pub(crate) async fn serve(
    context: &Context,
    links: &Links,
    tenure: &Tenure,
    layout: Layout,
    stop: &CancellationToken,
) -> Result<(), ShardError> {
    let shard = tenure.shard();
    let is_verified = verify(links, shard).await?;
    // What was accepted before this generation is applied before anything of it.
    let may_start = context.served.may_start(shard);
    if stop.run_until_cancelled(may_start).await.is_none() {
        return Ok(());
    }
    if !is_verified {
        verify(links, shard).await?;
    }
    // The epoch is read before the broker may deliver anything: a claim then fails if anybody else came first.
    let seen = context
        .store
        .epoch(shard)
        .await
        .map_err(ShardError::Database)?;
    if let Some(seen) = seen {
        tenure.epoch_read(seen);
    } else if !is_drained(context, shard).await? {
        return Err(ShardError::NotOurs);
    }
    let prefetch = u16::try_from(layout.prefetch).expect("generations_prefetch bounds it");
    let publisher = links
        .publishing
        .publisher()
        .await
        .map_err(ShardError::Broker)?;
    let subscription = links
        .consuming
        .subscribe_shard(&shard, prefetch)
        .await
        .map_err(ShardError::Broker)?;
    context.membership.subscribed_to(shard);
    let mut serving = Serving {
        context,
        tenure,
        subscription,
        finisher: Finisher::start(publisher, context.layout.clone()),
        intake: Intake::new(shard, layout.shard_count),
        load: context.load.shard(shard),
    };
    let ended = match seen {
        Some(seen) => serving.run(shard, seen, stop).await,
        None => serving.forward(stop).await,
    };
    let ended = serving.hand_over(ended).await;
    context.membership.ended(shard);
    ended
}

/// Compares the queue with what it should be. False when there is nothing to compare yet: the next generation's is about to be declared.
async fn verify(links: &Links, shard: ShardId) -> Result<bool, ShardError> {
    // On the publishing connection: a refusal closes its channel, and that must not happen beside deliveries.
    match topology::verify_shard(&links.publishing, shard).await {
        Ok(()) => Ok(true),
        Err(TopologyError::Missing { .. }) => Ok(false),
        Err(error @ TopologyError::Different { .. }) => Err(ShardError::BrokenQueue(error)),
        Err(TopologyError::Broker { source, .. }) if source.is_access_refused() => {
            tracing::warn!(
                %shard,
                "the queue's arguments are not verified: the user may not configure it"
            );
            Ok(true)
        }
        Err(TopologyError::Broker { source, .. }) => Err(ShardError::Broker(source)),
    }
}

async fn is_drained(context: &Context, shard: ShardId) -> Result<bool, ShardError> {
    let drained = context.store.is_drained(shard).await;
    drained.map_err(ShardError::Database)
}

struct Serving<'a> {
    context: &'a Context,
    tenure: &'a Tenure,
    subscription: ShardSubscription,
    finisher: Finisher,
    intake: Intake,
    load: ShardLoad,
}

impl Serving<'_> {
    async fn run(
        &mut self,
        shard: ShardId,
        seen: i64,
        stop: &CancellationToken,
    ) -> Result<(), ShardError> {
        reach(CrashPoint::AfterSubscribe)?;
        let Some(first) = self.next(stop).await? else {
            return Ok(());
        };
        self.intake.push(first);
        let fence = self.claim(shard, seen).await?;
        let _owned = self.load.owned(&self.context.owner);
        loop {
            if self.intake.is_empty() {
                self.load.holds(InHand::default());
                let Some(delivery) = self.next(stop).await? else {
                    return Ok(());
                };
                self.intake.push(delivery);
            }
            let Some(turn) = self.turn(stop).await? else {
                return Ok(());
            };
            // What has arrived until now joins the batch; nothing waits for more.
            while self.intake.has_room()
                && let Some(delivery) = self.subscription.try_next()
            {
                self.intake.push(delivery);
            }
            self.load.holds(self.intake.in_hand());
            let Some(batch) = self.intake.next_batch()? else {
                continue;
            };
            // What drains the shard is true only of one that owes nothing any more.
            let is_last = batch.is_last();
            if is_last && !self.finisher.flush().await {
                return Err(ShardError::FinisherFailed);
            }
            self.apply(&fence, batch, turn, stop).await?;
            if is_last {
                tracing::info!(%shard, "drained");
                return Ok(());
            }
        }
    }

    /// What arrives on a drained shard goes on to the generation that takes commands, in its order. Nothing accepted does, unless a
    /// broker's node knew nothing of the unbinding for longer than both markers took.
    async fn forward(&mut self, stop: &CancellationToken) -> Result<(), ShardError> {
        loop {
            let Some(delivery) = self.next(stop).await? else {
                return Ok(());
            };
            self.intake.push(delivery);
            while let Some(batch) = self.intake.next_batch()? {
                let unfinished = Unfinished {
                    forwards: batch.work.into_iter().filter_map(Work::forward).collect(),
                    last_delivery: batch.last_delivery,
                    ..Unfinished::default()
                };
                if !self.finisher.finish(unfinished).await {
                    return Err(ShardError::FinisherFailed);
                }
            }
        }
    }

    /// The next delivery; none when it is time to stop.
    async fn next(&mut self, stop: &CancellationToken) -> Result<Option<Delivery>, ShardError> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(None),
            () = self.finisher.failed() => Err(ShardError::FinisherFailed),
            next = self.subscription.next() => match next.map_err(ShardError::Broker)? {
                Some(delivery) => {
                    reach(CrashPoint::AfterReceive)?;
                    Ok(Some(delivery))
                }
                None => Err(ShardError::NotConfirmed("the broker ended the subscription")),
            },
        }
    }

    /// This shard's turn among those of the process; none when it is time to stop.
    async fn turn(&self, stop: &CancellationToken) -> Result<Option<Turn>, ShardError> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(None),
            () = self.finisher.failed() => Err(ShardError::FinisherFailed),
            turn = self.context.turns.next() => Ok(Some(turn)),
        }
    }

    async fn claim(&self, shard: ShardId, seen: i64) -> Result<Fence, ShardError> {
        let Context { store, owner, .. } = self.context;
        let claimed = store
            .claim(shard, owner, seen)
            .await
            .map_err(ShardError::Database)?;
        let fence = claimed.ok_or(ShardError::NotOurs)?;
        reach(CrashPoint::AfterClaim)?;
        self.tenure.claimed();
        tracing::info!(%shard, epoch = fence.epoch, "claimed");
        metrics::counter!("orderly_shard_handovers_total").increment(1);
        Ok(fence)
    }

    async fn hand_to_finisher(&self, committed: Committed, batch: Batch) -> Result<(), ShardError> {
        let (size, messages) = (batch.work.len(), batch.messages);
        self.finish(committed, size, batch.last_delivery).await?;
        self.load.done(messages);
        Ok(())
    }

    /// A part of a release: its delivery is acked behind the last one.
    async fn hand_part_to_finisher(&self, committed: Committed) -> Result<(), ShardError> {
        let decided = committed.decided.len();
        self.finish(committed, decided, None).await
    }

    async fn finish(
        &self,
        committed: Committed,
        size: usize,
        last_delivery: Option<Delivery>,
    ) -> Result<(), ShardError> {
        count(&committed, size);
        for (queue, reply) in committed.effects.replies {
            self.context.replies.send(queue, reply);
        }
        reach(CrashPoint::BeforeFinish)?;
        let unfinished = Unfinished {
            events: committed.events,
            forwards: committed.effects.forwards,
            waited: committed
                .decided
                .iter()
                .map(|decided| decided.waited + committed.took)
                .collect(),
            last_delivery,
        };
        if self.finisher.finish(unfinished).await {
            Ok(())
        } else {
            Err(ShardError::FinisherFailed)
        }
    }

    /// Hand-over: what was committed is published and acked, then the channel closes with its consumer alive. What is
    /// still in the intake was never begun and goes back to the queue, in order.
    async fn hand_over(self, ended: Result<(), ShardError>) -> Result<(), ShardError> {
        let ended = ended.and(step(CrashPoint::BeforeDrain));
        let drained = self.finisher.drain().await;
        let drained = drained.and(step(CrashPoint::AfterDrain));
        // The finisher's own failure says more than that it failed.
        let ended = ended.or_else(|error| match error {
            ShardError::FinisherFailed => Ok(()),
            error => Err(error),
        });
        let closed = self.subscription.close().await.map_err(ShardError::Broker);
        let closed = closed.and(step(CrashPoint::AfterHandOver));
        ended.and(drained).and(closed)
    }
}

/// [`reach`], where what follows must happen all the same.
fn step(point: CrashPoint) -> Result<(), ShardError> {
    Ok(reach(point)?)
}

fn count(committed: &Committed, size: usize) {
    metrics::histogram!("orderly_batch_size").record(as_metric(size));
    metrics::histogram!("orderly_command_apply_seconds").record(committed.took);
    metrics::counter!("orderly_duplicates_suppressed_total")
        .increment(committed.effects.duplicates);
    for decided in &committed.decided {
        let outcome = decided.outcome.as_str();
        let action = decided.action_type.clone();
        metrics::counter!("orderly_commands_applied_total", "type" => action, "outcome" => outcome)
            .increment(1);
        metrics::histogram!("orderly_command_wait_seconds").record(decided.waited);
        match decided.code.as_deref() {
            Some("version_conflict") => {
                metrics::counter!("orderly_version_conflicts_total").increment(1);
            }
            Some("insufficient_stock" | "unknown_sku") => {
                metrics::counter!("orderly_stock_rejections_total").increment(1);
            }
            _ => {}
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a metric; a batch is far below 2^52"
)]
fn as_metric(count: usize) -> f64 {
    count as f64
}
