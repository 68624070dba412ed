//! Changing the number of shards: the coordinator, which any worker can be, and go on as.
//!
//! Owns the order of the steps. Each begins with a conditional update of the resize's row, committed before the first call to the
//! broker, and each can be done again by whoever comes after: what is declared, unbound, marked or drained stays so.
//!
//! Invariant: all that binds or unbinds goes over one connection that holds the broker's lock, taken before the row is read.
//! No step rests on a clock, nor on who believes to be the coordinator.

use std::time::Duration;

use orderly_broker::topology::{self, TopologyError};
use orderly_broker::{
    Backoff, BrokerConfig, BrokerError, Confirm, Connection, PublishUnknown, Publisher, ResizeLink,
};
use orderly_crashpoint::{CrashPoint, Injected, reach};
use orderly_protocol::{Marker, ShardId};
use orderly_store::{GenerationWatch, Resize, ResizeStep, Store, StoreError};
use thiserror::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::runner::Resizing;

/// While a resize is open: how often a worker looks whether its coordinator is gone. Between the unbinding and the flip nothing can be
/// accepted.
const LOOK: Duration = Duration::from_secs(1);

/// After a first failure.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// How often a condition is looked at that others fulfil: markers are met within milliseconds, and all orders wait for it.
const POLL: Duration = Duration::from_millis(20);

/// How often an abort is looked for while new queues settle.
const SETTLING: Duration = Duration::from_millis(200);

/// What a coordinator works with.
pub(crate) struct Coordinator {
    pub(crate) store: Store,
    pub(crate) broker: BrokerConfig,
    pub(crate) resizing: Resizing,
    /// The worker's name.
    pub(crate) name: String,
}

/// Why a coordinator gave up. The resize goes on with whoever takes its lock next.
#[derive(Debug, Error)]
enum ResizeError {
    #[error("the database cannot be used")]
    Database(#[from] StoreError),
    #[error("the broker cannot be used")]
    Broker(#[from] BrokerError),
    #[error("the queues cannot be set up")]
    Topology(#[from] TopologyError),
    #[error("the broker cannot be published to")]
    Publish(#[from] PublishUnknown),
    #[error("the lock was lost")]
    LockLost,
}

impl From<Injected> for ResizeError {
    fn from(_: Injected) -> Self {
        Self::LockLost
    }
}

/// Coordinates whatever resize is open and unattended, until `stop`. Dropping it midway is safe: another one goes on.
pub(crate) async fn attend(
    coordinator: Coordinator,
    layout: GenerationWatch,
    stop: CancellationToken,
) {
    let attending = Box::pin(coordinator.attend(layout));
    stop.run_until_cancelled(attending).await;
}

impl Coordinator {
    async fn attend(&self, layout: GenerationWatch) {
        // Loads come with every change of a resize's row as well.
        let mut loads = layout.current.clone();
        loads.mark_changed();
        while loads.changed().await.is_ok() {
            let mut backoff = Backoff::between(SHORTEST_PAUSE, LOOK);
            while self.is_open().await {
                match self.coordinate().await {
                    Ok(()) => sleep(LOOK).await,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "a resize goes on later"
                        );
                        sleep(backoff.next_pause()).await;
                    }
                }
            }
        }
    }

    /// Whether a resize is open. While the database is away there is nothing to do.
    async fn is_open(&self) -> bool {
        self.store
            .open_resize()
            .await
            .is_ok_and(|resize| resize.is_some())
    }

    /// Takes step after step, unless somebody else is the coordinator.
    async fn coordinate(&self) -> Result<(), ResizeError> {
        let Some(mut link) = ResizeLink::take(self.connect(&self.broker.url).await?).await? else {
            return Ok(());
        };
        let led = self.lead(&mut link).await;
        link.close().await;
        led
    }

    async fn lead(&self, link: &mut ResizeLink) -> Result<(), ResizeError> {
        reach(CrashPoint::AfterResizeLock)?;
        // The row is read with the lock in hand: whoever held it before can change nothing any more.
        while let Some(resize) = self.store.open_resize().await? {
            self.step(link, &resize).await?;
        }
        Ok(())
    }

    /// Does what the row says, then takes the next step.
    async fn step(&self, link: &mut ResizeLink, resize: &Resize) -> Result<(), ResizeError> {
        let (from, to) = (resize.from_generation, resize.to_generation);
        match resize.step {
            ResizeStep::Requested => self.advance(resize, ResizeStep::Declaring).await?,
            ResizeStep::Declaring => {
                link.declare(to, resize.to_count).await?;
                reach(CrashPoint::AfterResizeDeclared)?;
                self.advance(resize, ResizeStep::Settling).await?;
            }
            ResizeStep::Settling => {
                let settle = self.resizing.settle;
                let settled = resize.declared_seconds.unwrap_or_default();
                if settled < settle.as_secs_f64() {
                    sleep(SETTLING).await;
                } else {
                    // Found out while there is a way back: a node that is away, a queue that did not live through a restart.
                    let is_good = self.is_stored(link, resize).await?;
                    let begun = is_good
                        && self
                            .store
                            .begin_unbinding(resize, settle, &self.name)
                            .await?;
                    if !begun {
                        // Or a shard was paused meanwhile. It can still be aborted.
                        sleep(SETTLING).await;
                    }
                }
            }
            ResizeStep::Unbinding => {
                reach(CrashPoint::BeforeUnbind)?;
                link.unbind(from, resize.from_count).await?;
                reach(CrashPoint::AfterUnbind)?;
                // A node that still led commands to the old queues would let them overtake those that the new ones hold by then.
                self.wait_unbound(link, resize).await?;
                if self.store.flip_generation(resize, &self.name).await? {
                    tracing::info!(
                        generation = to,
                        shards = resize.to_count,
                        "current from now on"
                    );
                }
            }
            ResizeStep::Flipped => {
                reach(CrashPoint::AfterFlip)?;
                self.wait_unbound(link, resize).await?;
                self.advance(resize, ResizeStep::Marking).await?;
            }
            ResizeStep::Marking => {
                self.mark(link, resize, Marker::First).await?;
                reach(CrashPoint::AfterMarker1)?;
                self.until(resize, |now| now.marked >= i64::from(now.from_count))
                    .await?;
                self.wait_unbound(link, resize).await?;
                self.advance(resize, ResizeStep::Draining).await?;
            }
            ResizeStep::Draining => {
                self.mark(link, resize, Marker::Second).await?;
                reach(CrashPoint::AfterMarker2)?;
                self.until(resize, |now| now.drained >= i64::from(now.from_count))
                    .await?;
                reach(CrashPoint::BeforeResizeDone)?;
                if self.store.finish_resize(resize, &self.name).await? {
                    tracing::info!(generation = from, "drained");
                }
            }
            // Not open any more.
            ResizeStep::Done | ResizeStep::Aborted => {}
        }
        Ok(())
    }

    /// The next step, unless somebody took it: then the row says what there is to do.
    async fn advance(&self, resize: &Resize, to: ResizeStep) -> Result<(), ResizeError> {
        if self.store.advance_resize(resize, to, &self.name).await? {
            tracing::info!(resize = resize.id, step = to.as_str(), "resizing");
        }
        Ok(())
    }

    /// Puts a marker into every old queue. One that refuses is full, and is being emptied.
    async fn mark(
        &self,
        link: &mut ResizeLink,
        resize: &Resize,
        marker: Marker,
    ) -> Result<(), ResizeError> {
        for shard in 0..resize.from_count {
            let shard = ShardId {
                generation: resize.from_generation,
                shard,
            };
            while link.mark(shard, marker).await? != Confirm::Stored {
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Waits until the row says so, or has moved on.
    async fn until(
        &self,
        resize: &Resize,
        is_so: impl Fn(&Resize) -> bool,
    ) -> Result<(), ResizeError> {
        while let Some(now) = self.store.open_resize().await? {
            if now.step != resize.step || is_so(&now) {
                break;
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Whether every node of the cluster leads what is published to the new generation into queues that store it.
    async fn is_stored(&self, link: &mut ResizeLink, resize: &Resize) -> Result<bool, ResizeError> {
        let (generation, count) = (resize.to_generation, resize.to_count);
        let mut is_stored = link.is_stored(generation, count).await?;
        for mut node in self.every_node(resize).await? {
            is_stored &= topology::is_stored(&mut node.publisher, generation, count).await?;
            node.connection.close().await;
        }
        if !is_stored {
            tracing::warn!(
                resize = resize.id,
                "the new queues do not take commands yet"
            );
        }
        Ok(is_stored)
    }

    /// Waits until every node of the cluster returns what is published to the old generation.
    async fn wait_unbound(
        &self,
        link: &mut ResizeLink,
        resize: &Resize,
    ) -> Result<(), ResizeError> {
        let (generation, count) = (resize.from_generation, resize.from_count);
        while !link.is_unbound(generation, count).await? {
            sleep(POLL).await;
        }
        for mut node in self.every_node(resize).await? {
            while !topology::is_unbound(&mut node.publisher, generation, count).await? {
                sleep(POLL).await;
            }
            node.connection.close().await;
        }
        Ok(())
    }

    /// A publisher at each node that is named, apart from the one that the lock is on.
    ///
    /// # Errors
    /// One of them is away. What it knows of bindings cannot be told until it is back.
    async fn every_node(&self, resize: &Resize) -> Result<Vec<Node>, ResizeError> {
        let mut nodes = Vec::new();
        for url in &self.resizing.nodes {
            let connection = self.connect(url).await.inspect_err(|_| {
                tracing::warn!(resize = resize.id, "a node of the broker is away");
            })?;
            let publisher = connection.publisher().await?;
            nodes.push(Node {
                connection,
                publisher,
            });
        }
        Ok(nodes)
    }

    async fn connect(&self, url: &str) -> Result<Connection, BrokerError> {
        let config = BrokerConfig {
            url: url.to_owned(),
            name: format!("{} resizing", self.broker.name),
        };
        Connection::open(&config).await
    }
}

/// One node of the broker's cluster.
struct Node {
    connection: Connection,
    publisher: Publisher,
}
