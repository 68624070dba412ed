//! The worker's life: the layout, the broker's connections, its place among the workers, and one task per shard.
//!
//! The connection is the unit of failure: when one is lost, every shard ends, both connections go, and all begin anew.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use orderly_broker::topology::TopologyError;
use orderly_broker::{Backoff, BrokerConfig, BrokerError, Connection, Turns};
use orderly_crashpoint::{CrashPoint, reach};
use orderly_protocol::ShardId;
use orderly_store::{GenerationWatch, Layout, ServedGeneration, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::Attempts;
use crate::failure::ShardError;
use crate::load::Load;
use crate::membership::{Introduction, Membership, Tenure};
use crate::reply::{Replies, send_replies};
use crate::resize::{self, Coordinator};
use crate::served::Served;
use crate::shard::{Context, Links, serve};
use crate::skip::SkipUndecidable;

/// A subscription that served this long was well: its failure is a new one.
const WELL: Duration = Duration::from_secs(5);

/// How long a shard with a message of an unknown schema is left to other workers before this one looks again.
const UNKNOWN_SCHEMA_PAUSE: Duration = Duration::from_secs(30);

/// Longer than a small batch takes beside its database. One that takes longer waits for something else than a core, and
/// must not hold up other shards.
const TURN: Duration = Duration::from_millis(3);

/// What a worker needs.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Postgres, with sessions of the worker profile.
    pub store: Store,
    /// The layout of the shards.
    pub layout: GenerationWatch,
    /// RabbitMQ.
    pub broker: BrokerConfig,
    /// Unique to this process, also over restarts: the fence rests on it.
    pub owner: String,
    /// Shards that it will own at the most, of each generation; none: its share of them, whatever that is.
    pub max_shards: Option<NonZeroU16>,
    /// How it takes its part in changes of the number of shards.
    pub resizing: Resizing,
    /// Commands that give way when they cannot be decided.
    pub skip_undecidable: SkipUndecidable,
    /// Of the program, for people who compare the workers.
    pub version: &'static str,
    /// Told whether the worker is connected and subscribed.
    pub ready: watch::Sender<bool>,
}

/// What a worker needs to coordinate a resize.
#[derive(Clone, Debug)]
pub struct Resizing {
    /// URLs of every node of the broker's cluster, if it has more than the one that `broker` leads to. Before the old generation
    /// ends, each must have shown that it leads nobody there any more.
    pub nodes: Vec<String>,
    /// How old new queues are before they take commands.
    pub settle: Duration,
}

impl Default for Resizing {
    /// A quorum queue that was just declared is not crash-safe; the youngest that was lost was 2 s old.
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            settle: Duration::from_secs(10),
        }
    }
}

/// A queue that could lose or reorder commands. Nothing of it was applied.
#[derive(Debug, thiserror::Error)]
#[error("refuse to work: a queue could lose or reorder commands (orderly doctor says more)")]
pub struct BrokenQueue(#[source] pub TopologyError);

/// Serves its share of the shards of every generation until `stop`, then hands all of them over and returns.
///
/// # Errors
/// A queue is not as it must be. All shards are handed over by then.
///
/// # Panics
/// When one of its tasks did, which ends the process anyway.
pub async fn run(options: WorkerOptions, stop: CancellationToken) -> Result<(), BrokenQueue> {
    let WorkerOptions {
        store,
        layout,
        broker,
        owner,
        max_shards,
        resizing,
        skip_undecidable,
        version,
        ready,
    } = options;
    let capacity = max_shards.map(|shards| usize::from(shards.get()));
    let attempts = Arc::new(Attempts::default());
    let turns = Turns::one_a_core(TURN);
    let load = Load::new();
    let served = Served::follow(store.clone(), &layout, stop.clone());
    let introduction = Introduction {
        version,
        broker_nodes: resizing.nodes.len().max(1),
    };
    let coordinator = Coordinator {
        store: store.clone(),
        broker: broker.clone(),
        resizing,
        name: owner.clone(),
    };
    let coordinating = tokio::spawn(resize::attend(coordinator, layout.clone(), stop.clone()));
    let mut backoff = Backoff::default();
    let mut broken = None;
    while broken.is_none() && is_laid_out(&layout, &stop).await {
        match Links::open(&broker).await {
            Ok(links) => {
                let begun = Instant::now();
                let (replies, queued) = Replies::channel();
                let context = Context {
                    store: store.clone(),
                    owner: owner.clone(),
                    attempts: Arc::clone(&attempts),
                    replies,
                    skip: skip_undecidable.clone(),
                    layout: layout.clone(),
                    turns: turns.clone(),
                    membership: Membership::new(
                        store.clone(),
                        owner.clone(),
                        capacity,
                        introduction,
                        served.clone(),
                        load.clone(),
                    ),
                    served: served.clone(),
                    load: load.clone(),
                };
                let session = Session {
                    context,
                    links,
                    broken: OnceLock::new(),
                };
                ready.send_replace(true);
                broken = session.run(queued, &stop).await;
                ready.send_replace(false);
                if begun.elapsed() > WELL {
                    backoff.reset();
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "broker not reached"
                );
            }
        }
        if broken.is_none() {
            pause(backoff.next_pause(), &stop).await;
        }
    }
    if let Some(broken) = broken {
        // What coordinates would go on until somebody stops it.
        coordinating.abort();
        return Err(BrokenQueue(broken));
    }
    coordinating.await.expect("a panic ends the process");
    Ok(())
}

impl Links {
    async fn open(broker: &BrokerConfig) -> Result<Self, BrokerError> {
        let named = |purpose: &str| BrokerConfig {
            url: broker.url.clone(),
            name: format!("{} {purpose}", broker.name),
        };
        Ok(Self {
            consuming: Connection::open(&named("consuming")).await?,
            publishing: Connection::open(&named("publishing")).await?,
        })
    }
}

/// One pair of connections and the shards served over it.
struct Session {
    context: Context,
    links: Links,
    /// Why this worker must end.
    broken: OnceLock<TopologyError>,
}

impl Session {
    /// Until `stop`, the loss of a connection, or a broken queue, which it answers.
    async fn run(
        self,
        queued: tokio::sync::mpsc::Receiver<(String, orderly_protocol::Reply)>,
        stop: &CancellationToken,
    ) -> Option<TopologyError> {
        let session = Arc::new(self);
        let ending = stop.child_token();
        let tracker = TaskTracker::new();
        let quiet = CancellationToken::new();
        let beating = tokio::spawn({
            let (session, quiet) = (Arc::clone(&session), quiet.clone());
            async move { session.context.membership.run(&quiet).await }
        });
        let sending = session
            .links
            .publishing
            .publisher()
            .await
            .map(|publisher| tokio::spawn(send_replies(queued, publisher, quiet.clone())));
        tokio::select! {
            () = session.ended(&ending) => {}
            () = Arc::clone(&session).serve_generations(&tracker, &ending) => {}
        }
        ending.cancel();
        tracker.close();
        // Every shard's own steps are bounded: a batch by its retries, a publish and a close by their timeouts.
        tracker.wait().await;
        // No shard is left to hand a reply in: what is queued goes out, then the sender ends. Until here the heartbeats went
        // on: a worker that hands over is not dead.
        quiet.cancel();
        if let Ok(sending) = sending {
            sending.await.expect("a panic ends the process");
        }
        beating.await.expect("a panic ends the process");
        if reach(CrashPoint::BeforeLeave).is_ok() {
            session.context.membership.leave().await;
        }
        let session = Arc::into_inner(session)?;
        session.links.consuming.close().await;
        session.links.publishing.close().await;
        session.broken.into_inner()
    }

    async fn ended(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.links.consuming.lost().cancelled_owned() => {
                tracing::warn!("the consuming connection was lost");
            }
            () = self.links.publishing.lost().cancelled_owned() => {
                tracing::warn!("the publishing connection was lost");
            }
        }
    }

    /// A task for every shard of every generation that is served, as they come and go. A generation that begins ends nothing of
    /// the one before it.
    async fn serve_generations(self: Arc<Self>, tracker: &TaskTracker, ending: &CancellationToken) {
        let mut served = self.context.served.clone();
        let mut running: BTreeMap<i32, CancellationToken> = BTreeMap::new();
        loop {
            let generations = served.now();
            let is_served = |generation: &i32| {
                let mut all = generations.iter();
                all.any(|one| one.layout.generation == *generation)
            };
            running.retain(|generation, stop| {
                let stays = is_served(generation);
                if !stays {
                    stop.cancel();
                }
                stays
            });
            for ServedGeneration { layout, .. } in generations.iter() {
                running.entry(layout.generation).or_insert_with(|| {
                    let stop = ending.child_token();
                    for shard in 0..layout.shard_count {
                        let shard = ShardId {
                            generation: layout.generation,
                            shard,
                        };
                        let session = Arc::clone(&self);
                        let all = ending.clone();
                        tracker.spawn(keep_serving(session, shard, *layout, stop.clone(), all));
                    }
                    stop
                });
            }
            served.changed().await;
        }
    }
}

/// One shard for the length of a session, whenever this worker ranks for it: after each failure that leaves the connections
/// alive, a new subscription. A queue that is missing or full, the shard's own or that of what it publishes, must not stop its
/// neighbours.
///
/// `stop` ends this shard; what ends its connection ends all.
async fn keep_serving(
    session: Arc<Session>,
    shard: ShardId,
    layout: Layout,
    stop: CancellationToken,
    all: CancellationToken,
) {
    let membership = &session.context.membership;
    let mut backoff = Backoff::default();
    while let Some(tenure) = stop.run_until_cancelled(membership.wanted(shard)).await {
        let served = serve_for(&session, &tenure, layout, &stop).await;
        if tenure.age() > WELL {
            backoff.reset();
        }
        let Err(error) = served else {
            continue;
        };
        tracing::warn!(%shard, error = &error as &dyn std::error::Error, "subscription ended");
        match error {
            ShardError::Broker(error) if !error.is_not_found() => all.cancel(),
            ShardError::BrokenQueue(error) => {
                // Of several, one is enough to say.
                session.broken.get_or_init(|| error);
                all.cancel();
            }
            ShardError::UnknownSchema { .. } => {
                membership.decline(shard);
                pause(UNKNOWN_SCHEMA_PAUSE, &stop).await;
                membership.accept(shard);
            }
            ShardError::NotOurs
            | ShardError::Database(_)
            | ShardError::Broker(_)
            | ShardError::NotConfirmed(_)
            | ShardError::FinisherFailed => pause(backoff.next_pause(), &stop).await,
        }
    }
}

/// Serves one subscription until `stop`, or until it must end for another worker's sake.
async fn serve_for(
    session: &Session,
    tenure: &Tenure,
    layout: Layout,
    stop: &CancellationToken,
) -> Result<(), ShardError> {
    let Session { context, links, .. } = session;
    let ending = stop.child_token();
    let mut serving = pin!(serve(context, links, tenure, layout, &ending));
    tokio::select! {
        biased;
        served = &mut serving => return served,
        () = context.membership.must_end(tenure) => ending.cancel(),
    }
    serving.await
}

/// Waits until there is a generation; false when it is time to stop.
async fn is_laid_out(layout: &GenerationWatch, stop: &CancellationToken) -> bool {
    let mut loads = layout.current.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        load = loads.wait_for(|load| load.layout.is_some()) => load.is_ok(),
    }
}

async fn pause(delay: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(delay) => {}
    }
}
