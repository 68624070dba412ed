//! What this worker does, as its heartbeats and metrics tell: how fast it goes, how busy it is, what it has in hand.
//!
//! One lock for all, which a batch takes three times and a command never: even thousands of batches a second hold it for less
//! than 1 ms of that second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use orderly_protocol::{ShardId, Timestamp};
use orderly_store::WorkerLoad;
use tokio::time::Instant;

/// What is told is the mean of this long: longer than a checkpoint or a pause of the broker, short enough that a rush is seen
/// while it lasts.
const WINDOW: Duration = Duration::from_secs(10);

/// Between two readings that a mean may begin with. Heartbeats come by the dozen when subscriptions change.
const READING_EVERY: Duration = Duration::from_secs(1);

/// The load of one process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Load(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Messages that were done with, since the beginning.
    messages: u64,
    /// Batches under way now, of all shards.
    underway: usize,
    /// When that number last ceased to be zero.
    since: Instant,
    /// Time with a batch under way, since the beginning, but for what goes on since `since`.
    busy: Duration,
    /// Of the shards that are consumed.
    in_hand: BTreeMap<ShardId, InHand>,
    /// Oldest first; the mean is taken from the first.
    readings: VecDeque<Reading>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    messages: u64,
    busy: Duration,
}

/// What a shard has taken up and not committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InHand {
    /// Orders with commands in it.
    pub(crate) orders: usize,
    /// When its head was accepted.
    pub(crate) oldest: Option<Timestamp>,
}

impl Load {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let first = Reading {
            at: now,
            messages: 0,
            busy: Duration::ZERO,
        };
        Self(Arc::new(Mutex::new(State {
            messages: 0,
            underway: 0,
            since: now,
            busy: Duration::ZERO,
            in_hand: BTreeMap::new(),
            readings: VecDeque::from([first]),
        })))
    }

    /// `shard` is consumed until what this answers is dropped.
    pub(crate) fn shard(&self, shard: ShardId) -> ShardLoad {
        self.state().in_hand.insert(shard, InHand::default());
        ShardLoad {
            load: self.clone(),
            shard,
        }
    }

    /// What a heartbeat tells. The ages of the shards become metrics on the way.
    pub(crate) fn tell(&self) -> WorkerLoad {
        let now = Timestamp::now_utc();
        let mut state = self.state();
        let (messages_per_second, busy) = state.mean(Instant::now());
        let in_hand = state.in_hand.clone();
        drop(state);
        let orders: usize = in_hand.values().map(|it| it.orders).sum();
        let ages = in_hand.iter().map(|(shard, it)| {
            let age = it.age_seconds(now);
            set_age(*shard, age);
            age
        });
        WorkerLoad {
            messages_per_second,
            busy,
            orders_in_hand: i32::try_from(orders).unwrap_or(i32::MAX),
            oldest_age_seconds: ages.fold(0.0, f64::max),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Messages per second and share of busy time since the first reading, which is then one of `WINDOW` ago.
    fn mean(&mut self, now: Instant) -> (f64, f64) {
        let going_on = if self.underway > 0 {
            now - self.since
        } else {
            Duration::ZERO
        };
        let reading = Reading {
            at: now,
            messages: self.messages,
            busy: self.busy + going_on,
        };
        while self.readings.get(1).is_some_and(|it| now - it.at >= WINDOW) {
            self.readings.pop_front();
        }
        let first = *self.readings.front().expect("one always stays");
        let last = self.readings.back().expect("one always stays");
        if now - last.at >= READING_EVERY {
            self.readings.push_back(reading);
        }
        // A process that has just begun has no mean of less than that.
        let seconds = (now - first.at).max(READING_EVERY).as_secs_f64();
        let messages = as_metric(reading.messages - first.messages);
        let busy = reading.busy.saturating_sub(first.busy).as_secs_f64();
        (messages / seconds, (busy / seconds).clamp(0.0, 1.0))
    }
}

impl InHand {
    /// Seconds since its head was accepted, 0 with nothing in hand. The clocks are those of two machines: no more than a figure.
    fn age_seconds(&self, now: Timestamp) -> f64 {
        self.oldest
            .map_or(0.0, |oldest| (now - oldest).as_seconds_f64().max(0.0))
    }
}

/// The load of one subscription.
#[derive(Debug)]
pub(crate) struct ShardLoad {
    load: Load,
    shard: ShardId,
}

impl ShardLoad {
    /// What is in hand from now on.
    pub(crate) fn holds(&self, in_hand: InHand) {
        self.load.state().in_hand.insert(self.shard, in_hand);
    }

    /// A batch is under way until what this answers is dropped.
    pub(crate) fn batch(&self) -> Underway {
        let mut state = self.load.state();
        if state.underway == 0 {
            state.since = Instant::now();
        }
        state.underway += 1;
        Underway(self.load.clone())
    }

    /// So many messages are done with.
    pub(crate) fn done(&self, messages: u64) {
        self.load.state().messages += messages;
    }

    /// The shard is this worker's until what this answers is dropped.
    pub(crate) fn owned(&self, owner: &str) -> Owned {
        let told = Owned {
            shard: self.shard.to_string(),
            owner: owner.to_owned(),
        };
        told.set(1.0);
        told
    }
}

impl Drop for ShardLoad {
    fn drop(&mut self) {
        self.load.state().in_hand.remove(&self.shard);
        set_age(self.shard, 0.0);
    }
}

/// A batch under way, and what it costs when it ends early as well.
#[derive(Debug)]
pub(crate) struct Underway(Load);

impl Drop for Underway {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.underway -= 1;
        if state.underway == 0 {
            let took = state.since.elapsed();
            state.busy += took;
        }
    }
}

/// The metric that says who owns a shard.
#[derive(Debug)]
pub(crate) struct Owned {
    shard: String,
    owner: String,
}

impl Owned {
    fn set(&self, value: f64) {
        let (shard, owner) = (self.shard.clone(), self.owner.clone());
        metrics::gauge!("orderly_shard_owner_info", "shard" => shard, "owner" => owner).set(value);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.set(0.0);
    }
}

fn set_age(shard: ShardId, seconds: f64) {
    metrics::gauge!("orderly_shard_oldest_age_seconds", "shard" => shard.to_string()).set(seconds);
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a metric; nobody applies 2^52 messages"
)]
fn as_metric(messages: u64) -> f64 {
    messages as f64
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SHARDS: [ShardId; 2] = [
        ShardId {
            generation: 1,
            shard: 0,
        },
        ShardId {
            generation: 1,
            shard: 1,
        },
    ];

    async fn seconds(seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn batches_of_two_shards_at_once_make_one_worker_busy_once() {
        let load = Load::new();
        let [one, two] = SHARDS.map(|shard| load.shard(shard));
        let first = one.batch();
        seconds(1).await;
        let second = two.batch();
        seconds(2).await;
        drop(first);
        seconds(1).await;
        drop(second);
        seconds(4).await;
        let busy = load.tell().busy;
        assert!((busy - 0.5).abs() < 1e-9, "{busy}");
        // One that goes on counts before it ends.
        let _third = one.batch();
        seconds(3).await;
        let busy = load.tell().busy;
        assert!((busy - 7.0 / 11.0).abs() < 1e-9, "{busy}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_done_is_forgotten_after_the_window() {
        let load = Load::new();
        let shard = load.shard(SHARDS[0]);
        for _ in 0..20 {
            shard.done(50);
            seconds(1).await;
            // Told thrice, as when subscriptions change.
            let rates = [0; 3].map(|_| load.tell().messages_per_second);
            assert!(
                rates.iter().all(|rate| (rate - 50.0).abs() < 1e-9),
                "{rates:?}"
            );
        }
        assert!(load.state().readings.len() <= 12);
        seconds(5).await;
        let rate = load.tell().messages_per_second;
        assert!(rate > 20.0 && rate < 30.0, "{rate}");
        seconds(10).await;
        load.tell();
        seconds(10).await;
        let rate = load.tell().messages_per_second;
        assert!(rate.abs() < 1e-9, "{rate}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_hand_goes_with_its_subscription() {
        let load = Load::new();
        let [one, two] = SHARDS.map(|shard| load.shard(shard));
        let accepted = Timestamp::now_utc();
        for (shard, orders, age) in [(&one, 3, 7), (&two, 2, 60)] {
            shard.holds(InHand {
                orders,
                oldest: Some(accepted - Duration::from_secs(age)),
            });
        }
        let told = load.tell();
        assert_eq!(told.orders_in_hand, 5);
        assert!(told.oldest_age_seconds >= 60.0, "{told:?}");
        drop(two);
        let told = load.tell();
        assert_eq!(told.orders_in_hand, 3);
        let age = told.oldest_age_seconds;
        assert!((7.0..60.0).contains(&age), "{told:?}");
        one.holds(InHand::default());
        let told = load.tell();
        assert_eq!(told.orders_in_hand, 0);
        assert!(told.oldest_age_seconds.abs() < 1e-9, "{told:?}");
    }
}
