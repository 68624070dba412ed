//! `GET /v1/scaling`: how many workers there should be, and why. The same as metrics.
//!
//! Owns the looking, every 5 s; what follows from what is seen is `wanted`'s. It starts and stops no worker.

mod wanted;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use orderly_http::{Authorized, ProblemResponse, scope};
use orderly_protocol::{Problem, ProblemCode};
use orderly_store::{ShardRow, ShardStanding, Store, StoreError};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Depths;
use wanted::{Look, wanted};

/// Between two looks. Each asks the broker for every queue: that this idles below 1 % of a core is worth the seconds.
const EVERY: Duration = Duration::from_secs(5);

/// Looks that a figure is the median of: one that is unlike its neighbours moves nothing.
const LOOKS: usize = 3;

/// How long an early request waits for the first look.
const FIRST_LIMIT: Duration = Duration::from_secs(3);

/// How many workers there should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Signal {
    /// Messages in the queues of shards that may be consumed; those that workers have taken up are not among them.
    waiting_messages: u32,
    /// Orders of which a command could be applied now: those that workers have in hand, and one for each shard with messages that nobody
    /// consumes.
    runnable_orders: u32,
    /// Age of the oldest command that a worker has in hand.
    oldest_age_seconds: f64,
    /// Messages that are applied, all workers together.
    messages_per_second: f64,
    /// How long what waits takes at that rate; null when nothing is applied.
    drain_seconds: Option<f64>,
    /// Share of their time that the workers have a batch under way, their mean.
    busy: f64,
    /// Workers that are alive and not drained.
    workers: u32,
    /// Shards that take new commands: more workers than that find nothing to do.
    shards: u32,
    wanted_workers: u32,
    /// The rule that led to this number, in words.
    because: String,
}

/// The newest signal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Scaling {
    newest: watch::Receiver<Option<Signal>>,
}

impl Scaling {
    /// Looks now, and every 5 s until `token` is cancelled.
    #[must_use]
    pub fn start(
        store: Store,
        depths: Depths,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> Self {
        let (sender, newest) = watch::channel(None);
        let mut looker = Looker {
            store,
            depths,
            looks: VecDeque::new(),
            pace: None,
            shown: BTreeSet::new(),
        };
        tracker.spawn(async move {
            let looking = async {
                let mut ticks = interval(EVERY);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    sender.send_replace(looker.signal().await);
                }
            };
            token.run_until_cancelled(looking).await;
        });
        Self { newest }
    }
}

pub(crate) async fn handle(
    State(scaling): State<Scaling>,
    _: Authorized<scope::OpsRead>,
) -> Result<Json<Signal>, ProblemResponse> {
    let mut newest = scaling.newest.clone();
    let there_is_one = newest.wait_for(Option::is_some);
    let found = timeout(FIRST_LIMIT, there_is_one).await;
    let signal = found.ok().and_then(Result::ok).and_then(|it| it.clone());
    signal.map(Json).ok_or_else(|| {
        let detail = "the database or the broker did not answer: it is not known what waits; keep the workers there are";
        ProblemResponse::from(Problem::new(ProblemCode::NotReady, detail)).retry_after(5)
    })
}

/// Looks at the queues and the workers.
struct Looker {
    store: Store,
    depths: Depths,
    /// The last ones, oldest first.
    looks: VecDeque<Look>,
    /// Messages per second that one busy worker applies, as long ago as it was last to be seen.
    pace: Option<f64>,
    /// The shards whose depth is a metric by now.
    shown: BTreeSet<String>,
}

impl Looker {
    /// None when the database or the broker is away: then nothing is known, and nobody should act.
    async fn signal(&mut self) -> Option<Signal> {
        let look = match self.look().await {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "load of the workers unknown"
                );
                None
            }
        };
        let Some(look) = look else {
            // What comes after the gap is not to be evened out with what was before it.
            self.looks.clear();
            return None;
        };
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
        let usual = Look::median(self.looks.make_contiguous());
        self.pace = usual.pace().or(self.pace);
        let signal = Signal::new(&usual, self.pace);
        signal.show();
        Some(signal)
    }

    async fn look(&mut self) -> Result<Option<Look>, StoreError> {
        let rows = self.store.shards().await?;
        let fleet = self.store.fleet_load().await?;
        let mut look = Look {
            runnable: as_figure(fleet.orders_in_hand),
            oldest_age_seconds: fleet.oldest_age_seconds,
            messages_per_second: fleet.messages_per_second,
            busy: fleet.busy,
            workers: as_figure(fleet.workers),
            ..Look::default()
        };
        let Some(newest) = rows.iter().map(|row| row.shard.generation).max() else {
            return Ok(Some(look));
        };
        let depths = self
            .depths
            .of(rows.iter().map(|row| row.shard).collect())
            .await;
        if depths.is_empty() {
            return Ok(None);
        }
        for row in &rows {
            let depth = depths.get(&row.shard).copied().unwrap_or(0);
            look.shards += f64::from(u8::from(row.shard.generation == newest));
            look.add(row, depth);
        }
        let depth_of = |row: &ShardRow| {
            let depth = depths.get(&row.shard).copied();
            Some((row.shard.to_string(), depth?))
        };
        self.show(rows.iter().filter_map(depth_of).collect());
        Ok(Some(look))
    }

    /// The depths as metrics. A shard that is no longer served has none.
    fn show(&mut self, depths: Vec<(String, u32)>) {
        let mut gone = std::mem::take(&mut self.shown);
        for (shard, depth) in depths {
            gone.remove(&shard);
            gauge_depth(&shard, f64::from(depth));
            self.shown.insert(shard);
        }
        for shard in gone {
            gauge_depth(&shard, 0.0);
        }
    }
}

impl Look {
    /// What waits on a shard, if a worker could apply it.
    fn add(&mut self, row: &ShardRow, depth: u32) {
        if row.standing != ShardStanding::Served {
            return;
        }
        let is_unserved = !row.owner_alive && row.standby.is_empty();
        self.unserved += f64::from(u8::from(is_unserved));
        self.waiting += f64::from(depth);
        if depth > 0 {
            self.backlogged += 1.0;
            self.runnable += f64::from(u8::from(is_unserved));
        }
    }
}

impl Signal {
    fn new(look: &Look, pace: Option<f64>) -> Self {
        let wanted = wanted(look, pace);
        Self {
            waiting_messages: as_count(look.waiting),
            runnable_orders: as_count(look.runnable),
            oldest_age_seconds: rounded(look.oldest_age_seconds),
            messages_per_second: rounded(look.messages_per_second),
            drain_seconds: look.drain_seconds().map(rounded),
            busy: rounded(look.busy_share()),
            workers: as_count(look.workers),
            shards: as_count(look.shards),
            wanted_workers: wanted.workers,
            because: wanted.because,
        }
    }

    fn show(&self) {
        let figures = [
            ("waiting_messages", f64::from(self.waiting_messages)),
            ("runnable_orders", f64::from(self.runnable_orders)),
            ("oldest_age_seconds", self.oldest_age_seconds),
            ("messages_per_second", self.messages_per_second),
            ("drain_seconds", self.drain_seconds.unwrap_or(f64::INFINITY)),
            ("busy", self.busy),
            ("workers", f64::from(self.workers)),
            ("shards", f64::from(self.shards)),
            ("wanted_workers", f64::from(self.wanted_workers)),
        ];
        for (name, figure) in figures {
            metrics::gauge!(format!("orderly_scaling_{name}")).set(figure);
        }
    }
}

fn gauge_depth(shard: &str, depth: f64) {
    metrics::gauge!("orderly_shard_depth", "shard" => shard.to_owned()).set(depth);
}

/// To three places: nobody acts on more.
fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "a count far below 2^52")]
fn as_figure(count: i64) -> f64 {
    count as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, and the conversion saturates"
)]
fn as_count(figure: f64) -> u32 {
    figure as u32
}
