//! Who else is there, and what follows from it for each shard: the heartbeat, the ranks, and when a subscription must end
//! for another worker's sake.
//!
//! Invariant: no order rests on this. A wrong view costs moves; the broker's single active consumer and the epoch keep order.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use orderly_protocol::ShardId;
use orderly_store::{LiveWorker, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::load::Load;
use crate::placement::{Member, Ranks, place};
use crate::served::Served;

/// Between two heartbeats: how late a worker that came or left is noticed. One that died is missed after five.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Subscriptions change by the dozen when a worker comes: they are told together.
const TOLD_TOGETHER: Duration = Duration::from_millis(100);

/// To take itself off the list; who stays on it is missed after 5 s.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// A subscription lives at least this long before another worker's rank ends it: views that differ for a moment must not
/// send a shard to and fro. Longer than a worker that died is listed, so that nothing is given back to one: it is missed after
/// 5 s, which everybody sees with the next heartbeat.
const HOLD: Duration = Duration::from_secs(7);

/// What the workers look like from here.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Of the shards that are not paused.
    ranks: HashMap<ShardId, Ranks>,
    /// Worker and routing key of each subscription of others.
    subscribed: BTreeSet<(String, String)>,
    /// Of the shards that others claimed last.
    epochs: HashMap<ShardId, i64>,
}

impl View {
    /// The worker that should own `shard`.
    fn owner(&self, shard: ShardId) -> Option<&str> {
        self.ranks.get(&shard)?.owner.as_deref()
    }

    /// Every shard has its ranks, but for those that are paused.
    fn is_paused(&self, shard: ShardId) -> bool {
        !self.ranks.contains_key(&shard)
    }

    fn wants(&self, shard: ShardId, worker: &str) -> bool {
        self.ranks.get(&shard).is_some_and(|ranks| {
            [&ranks.owner, &ranks.standby]
                .into_iter()
                .any(|ranked| ranked.as_deref() == Some(worker))
        })
    }

    /// The worker that should own `shard`, if it is another one and has subscribed.
    fn owner_in_place(&self, shard: ShardId, me: &str) -> Option<&str> {
        let owner = self.owner(shard).filter(|owner| *owner != me)?;
        let subscription = (owner.to_owned(), shard.routing_key());
        self.subscribed.contains(&subscription).then_some(owner)
    }
}

/// This worker among the others, for the length of a session.
pub(crate) struct Membership {
    store: Store,
    me: String,
    capacity: Option<usize>,
    introduction: Introduction,
    served: Served,
    load: Load,
    told: Mutex<Told>,
    changed: Notify,
    view: watch::Sender<View>,
}

/// What people want to know of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Introduction {
    pub(crate) version: &'static str,
    pub(crate) broker_nodes: usize,
}

/// What a heartbeat tells of shards.
#[derive(Default)]
struct Told {
    subscribed: BTreeSet<ShardId>,
    declined: BTreeSet<ShardId>,
}

/// One subscription of this worker, from before it begins.
pub(crate) struct Tenure {
    shard: ShardId,
    begun: Instant,
    /// The owner by rank that was there already: this subscription is behind it.
    behind: Option<String>,
    /// The epoch that was read before subscribing.
    seen: AtomicI64,
    claimed: OnceLock<Instant>,
}

impl Tenure {
    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }

    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn epoch_read(&self, epoch: i64) {
        self.seen.store(epoch, Ordering::Relaxed);
    }

    pub(crate) fn claimed(&self) {
        // A subscription claims once.
        self.claimed.get_or_init(Instant::now);
    }

    /// From when on another worker's rank can end it. One that stood behind its owner and claims has seen the owner's
    /// subscription end, however long that is still listed.
    fn held_until(&self) -> Instant {
        let took_over = self.behind.as_ref().and_then(|_| self.claimed.get());
        *took_over.unwrap_or(&self.begun) + HOLD
    }

    /// Whether the broker may have made this subscription the active one.
    fn may_be_active(&self, owner: &str) -> bool {
        self.claimed.get().is_some() || self.behind.as_deref() != Some(owner)
    }

    /// Whether somebody else claimed since: then a claim of this one must fail, and it had better begin anew now than when
    /// its turn comes.
    fn is_outdated(&self, view: &View) -> bool {
        let seen = self.seen.load(Ordering::Relaxed);
        self.claimed.get().is_none()
            && seen >= 0
            && view
                .epochs
                .get(&self.shard)
                .is_some_and(|epoch| *epoch > seen)
    }
}

impl Membership {
    pub(crate) fn new(
        store: Store,
        me: String,
        capacity: Option<usize>,
        introduction: Introduction,
        served: Served,
        load: Load,
    ) -> Self {
        Self {
            store,
            me,
            capacity,
            introduction,
            served,
            load,
            told: Mutex::default(),
            changed: Notify::new(),
            view: watch::Sender::default(),
        }
    }

    /// Heartbeats until `stop`. While the database is away the last view stands.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut served = self.served.clone();
        let mut is_introduced = false;
        // Cut short as well: a database that does not answer must not hold up the end of a session.
        while let Some(beaten) = stop.run_until_cancelled(self.beat()).await {
            if let Err(error) = beaten {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no heartbeat: other workers may take this one for dead"
                );
            } else if !is_introduced {
                is_introduced = self.introduce().await;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(HEARTBEAT) => {}
                // Its shards want owners now.
                () = served.changed() => {}
                () = self.changed.notified() => sleep(TOLD_TOGETHER).await,
            }
        }
    }

    /// Takes this worker off the list. Without it the others wait until they miss it.
    pub(crate) async fn leave(&self) {
        let left = timeout(LEAVE_LIMIT, self.store.leave(&self.me)).await;
        if let Ok(Err(error)) = left {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "not taken off the list of workers"
            );
        }
    }

    /// For people alone: one that failed is made up for with the next heartbeat.
    async fn introduce(&self) -> bool {
        let Introduction {
            version,
            broker_nodes,
        } = self.introduction;
        let told = self.store.introduce(&self.me, version, broker_nodes).await;
        told.is_ok()
    }

    async fn beat(&self) -> Result<(), StoreError> {
        let me = self.heartbeat();
        let alive = self.store.heartbeat(&me, self.load.tell()).await?;
        let members: Vec<_> = alive
            .iter()
            .map(|worker| Member {
                name: &worker.worker,
                capacity: worker
                    .capacity
                    .and_then(|shards| usize::try_from(shards).ok()),
                declined: &worker.declined,
                draining: worker.draining,
            })
            .collect();
        // Each generation for itself: a worker has its share of each.
        let mut ranks = HashMap::new();
        for served in self.served.now().iter() {
            let generation = served.layout.generation;
            let shards: Vec<_> = (0..served.layout.shard_count)
                .map(|shard| ShardId { generation, shard })
                .collect();
            // All are placed, so that a pause moves no other shard.
            let placed = shards.iter().copied().zip(place(&shards, &members));
            ranks.extend(placed.filter(|(shard, _)| !served.paused.contains(&shard.shard)));
        }
        let others = alive.iter().filter(|worker| worker.worker != self.me);
        let subscribed = others.flat_map(|other| {
            let named = |key: &String| (other.worker.clone(), key.clone());
            other.subscribed.iter().map(named)
        });
        self.view.send_modify(|view| {
            view.ranks = ranks;
            view.subscribed = subscribed.collect();
        });
        let epochs = self.store.epochs_of_others(&self.me).await?;
        self.view
            .send_modify(|view| view.epochs = epochs.into_iter().collect());
        Ok(())
    }

    fn heartbeat(&self) -> LiveWorker {
        let told = self.told();
        let keys = |shards: &BTreeSet<ShardId>| shards.iter().map(ToString::to_string).collect();
        LiveWorker {
            worker: self.me.clone(),
            capacity: self.capacity.and_then(|shards| i32::try_from(shards).ok()),
            subscribed: keys(&told.subscribed),
            declined: keys(&told.declined),
            draining: false,
        }
    }

    /// Waits until this worker ranks for `shard`.
    pub(crate) async fn wanted(&self, shard: ShardId) -> Tenure {
        let mut views = self.view.subscribe();
        let view = views.wait_for(|view| view.wants(shard, &self.me)).await;
        let view = view.expect("the sender lives in self");
        Tenure {
            shard,
            begun: Instant::now(),
            behind: view.owner_in_place(shard, &self.me).map(str::to_owned),
            seen: AtomicI64::new(-1),
            claimed: OnceLock::new(),
        }
    }

    /// Waits until the subscription must end: for the worker that ranks first and has subscribed, to read the epoch anew, or because
    /// the shard is paused.
    pub(crate) async fn must_end(&self, tenure: &Tenure) {
        let mut views = self.view.subscribe();
        let gives_way = |view: &View| {
            let owner = view.owner_in_place(tenure.shard, &self.me);
            let ranked = view.wants(tenure.shard, &self.me);
            owner.is_some_and(|owner| !ranked || tenure.may_be_active(owner))
        };
        let at_once = |view: &View| tenure.is_outdated(view) || view.is_paused(tenure.shard);
        let mut urgent = self.view.subscribe();
        let giving_way = async {
            loop {
                let view = views.wait_for(gives_way).await;
                drop(view.expect("the sender lives in self"));
                let held_until = tenure.held_until();
                if Instant::now() >= held_until {
                    return;
                }
                // What asks for it now may have passed by then.
                sleep_until(held_until).await;
            }
        };
        tokio::select! {
            () = giving_way => {}
            view = urgent.wait_for(at_once) => drop(view.expect("the sender lives in self")),
        }
    }

    /// The queue of `shard` is consumed from now on.
    pub(crate) fn subscribed_to(&self, shard: ShardId) {
        self.told().subscribed.insert(shard);
        self.changed.notify_one();
    }

    /// And no longer.
    pub(crate) fn ended(&self, shard: ShardId) {
        if self.told().subscribed.remove(&shard) {
            self.changed.notify_one();
        }
    }

    /// Leaves `shard` to others from now on: this worker cannot go on there, and does not rank.
    pub(crate) fn decline(&self, shard: ShardId) {
        self.told().declined.insert(shard);
        self.changed.notify_one();
    }

    /// And no longer.
    pub(crate) fn accept(&self, shard: ShardId) {
        self.told().declined.remove(&shard);
        self.changed.notify_one();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
