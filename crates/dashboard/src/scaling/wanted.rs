//! From what is seen to a number of workers. Pure.

use super::as_count;

/// What waits should be gone within this: longer than a worker takes to start and have its shards, and still a time that people
/// wait.
const DRAIN_SECONDS: f64 = 30.0;

/// Busy for more than this share of its time, a worker has little left for a rush or for the shards of one that dies.
const MOST_BUSY: f64 = 0.7;

/// Below this many workers' whole time, what they apply says nothing of what they could.
const LEAST_BUSY: f64 = 0.1;

/// One look at the queues and the workers, or the median of some.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Look {
    /// Messages in queues that may be consumed.
    pub(super) waiting: f64,
    /// Shards with some.
    pub(super) backlogged: f64,
    /// Shards that may be consumed, and nobody does.
    pub(super) unserved: f64,
    /// Orders of which a command could be applied now.
    pub(super) runnable: f64,
    pub(super) oldest_age_seconds: f64,
    /// All workers together.
    pub(super) messages_per_second: f64,
    /// All workers together: from 0 to `workers`.
    pub(super) busy: f64,
    pub(super) workers: f64,
    pub(super) shards: f64,
}

/// A number of workers and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) workers: u32,
    pub(super) because: String,
}

impl Look {
    /// Each figure the median of its own; of two the smaller. How many workers and shards there are is as it is now.
    pub(super) fn median(looks: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = looks.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            let middle = figures.len().saturating_sub(1) / 2;
            figures.get(middle).copied().unwrap_or_default()
        };
        let now = looks.last().copied().unwrap_or_default();
        Self {
            waiting: of(|look| look.waiting),
            backlogged: of(|look| look.backlogged),
            unserved: of(|look| look.unserved),
            runnable: of(|look| look.runnable),
            oldest_age_seconds: of(|look| look.oldest_age_seconds),
            messages_per_second: of(|look| look.messages_per_second),
            busy: of(|look| look.busy),
            ..now
        }
    }

    /// Messages per second that one worker applies while it is busy.
    pub(super) fn pace(&self) -> Option<f64> {
        (self.busy >= LEAST_BUSY && self.messages_per_second > 0.0)
            .then(|| self.messages_per_second / self.busy)
    }

    /// How long what waits takes; none when it takes for ever.
    pub(super) fn drain_seconds(&self) -> Option<f64> {
        if self.waiting == 0.0 {
            Some(0.0)
        } else if self.messages_per_second > 0.0 {
            Some(self.waiting / self.messages_per_second)
        } else {
            None
        }
    }

    /// The mean of the workers.
    pub(super) fn busy_share(&self) -> f64 {
        if self.workers > 0.0 {
            (self.busy / self.workers).min(1.0)
        } else {
            0.0
        }
    }
}

/// What a rule asks for.
struct Ask {
    workers: f64,
    /// The same without the limits of what can be used.
    unlimited: f64,
    because: String,
}

impl Ask {
    fn new(workers: f64, because: String) -> Self {
        Self {
            workers,
            unlimited: workers,
            because,
        }
    }

    fn at_most(mut self, limit: f64, of_what: &str) -> Self {
        if self.workers > limit {
            self.workers = limit;
            let limit = counted(limit, of_what);
            self.because = format!(
                "{}, but no more than {limit} can make use of one",
                self.because
            );
        }
        self
    }
}

/// The greatest number that a rule asks for, within what can be used.
pub(super) fn wanted(look: &Look, pace: Option<f64>) -> Wanted {
    let asks = [stuck(look), drain(look, pace), busy(look), unserved(look)];
    let asks = asks.into_iter().flatten();
    // Of equals the one that was limited, or else the first.
    let greatest = asks.fold(calm(look), |greatest, ask| {
        let is_greater = (ask.workers, ask.unlimited) > (greatest.workers, greatest.unlimited);
        if is_greater { ask } else { greatest }
    });
    let Ask {
        workers, because, ..
    } = greatest.at_most(look.shards.max(1.0), "shard");
    Wanted {
        workers: as_count(workers),
        because,
    }
}

fn calm(look: &Look) -> Ask {
    let because = if look.workers > 0.0 {
        "what waits will be gone in time, and the workers have time to spare"
    } else {
        "there is no worker"
    };
    Ask::new(1.0, because.to_owned())
}

/// Nothing is applied although something waits: the fault is elsewhere, and to change the number would only move shards.
fn stuck(look: &Look) -> Option<Ask> {
    let waiting = counted(look.waiting, "message");
    let because = format!("{waiting} waiting and none applied: another number would not help");
    let is_stuck = look.drain_seconds().is_none() && look.workers > 0.0;
    is_stuck.then(|| Ask::new(look.workers, because))
}

/// What waits on few shards, or for few orders, is not drained by many workers: each is worked on by one.
fn drain(look: &Look, pace: Option<f64>) -> Option<Ask> {
    let pace = pace.filter(|_| look.waiting > 0.0 && look.drain_seconds().is_some())?;
    let waiting = counted(look.waiting, "message");
    let because = format!(
        "{waiting} waiting should be gone within {DRAIN_SECONDS:.0} s, of which a busy worker applies {pace:.0}/s"
    );
    let ask = Ask::new((look.waiting / (pace * DRAIN_SECONDS)).ceil(), because);
    let ask = ask.at_most(look.backlogged.max(1.0), "shard");
    Some(ask.at_most(look.runnable.max(1.0), "order"))
}

fn busy(look: &Look) -> Option<Ask> {
    // A sum of decimals is not to ask for one more.
    let workers = (look.busy / MOST_BUSY - 1e-9).ceil();
    let because = format!(
        "the workers are busy {:.1} % of their time, which should be at most {:.0} %",
        100.0 * look.busy_share(),
        100.0 * MOST_BUSY
    );
    let ask = Ask::new(workers, because).at_most(look.runnable.max(1.0), "order");
    (workers > 0.0).then_some(ask)
}

/// Those that there are have as many shards as they take.
fn unserved(look: &Look) -> Option<Ask> {
    let because = format!("{} without a worker", counted(look.unserved, "shard"));
    (look.unserved > 0.0).then(|| Ask::new(look.workers + 1.0, because))
}

fn counted(count: f64, what: &str) -> String {
    let plural = if count > 1.0 { "s" } else { "" };
    format!("{count:.0} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that is half busy with what comes, nothing of which waits.
    const CALM: Look = Look {
        waiting: 0.0,
        backlogged: 0.0,
        unserved: 0.0,
        runnable: 40.0,
        oldest_age_seconds: 0.01,
        messages_per_second: 500.0,
        busy: 0.5,
        workers: 1.0,
        shards: 16.0,
    };

    #[track_caller]
    fn assert_wanted(look: Look, workers: u32, because: &str) {
        let wanted = wanted(&look, look.pace());
        assert_eq!(wanted.workers, workers, "{wanted:?}");
        assert!(wanted.because.contains(because), "{wanted:?}");
    }

    #[test]
    fn an_idle_system_wants_one_worker_however_many_there_are() {
        let idle = Look {
            runnable: 0.0,
            messages_per_second: 0.0,
            busy: 0.0,
            oldest_age_seconds: 0.0,
            ..CALM
        };
        for workers in [0.0, 1.0, 8.0] {
            assert_wanted(Look { workers, ..idle }, 1, "");
        }
        assert_wanted(Look::default(), 1, "no worker");
        assert_wanted(CALM, 1, "time to spare");
    }

    #[test]
    fn what_waits_is_to_be_gone_within_30_seconds() {
        let rush = |waiting| Look {
            waiting,
            backlogged: 16.0,
            busy: 0.7,
            messages_per_second: 700.0,
            ..CALM
        };
        // 1,000 a second while it is busy.
        assert_wanted(rush(30_000.0), 1, "time to spare");
        assert_wanted(rush(30_001.0), 2, "within 30 s");
        assert_wanted(rush(150_000.0), 5, "within 30 s");
        assert_wanted(rush(9e9), 16, "16 shards");
    }

    #[test]
    fn busy_workers_want_company_until_they_have_time_to_spare() {
        let busy = |workers, busy| Look {
            busy,
            workers,
            ..CALM
        };
        assert_wanted(busy(1.0, 0.7), 1, "time to spare");
        assert_wanted(busy(1.0, 0.71), 2, "busy 71.0 %");
        assert_wanted(busy(3.0, 2.1), 3, "busy 70.0 %");
        assert_wanted(busy(8.0, 1.3), 2, "busy 16.2");
        assert_wanted(busy(20.0, 20.0), 16, "16 shards");
    }

    #[test]
    fn a_hot_order_wants_no_second_worker() {
        let hot = Look {
            waiting: 90_000.0,
            backlogged: 1.0,
            runnable: 1.0,
            busy: 1.0,
            ..CALM
        };
        assert_wanted(hot, 1, "no more than 1 shard can");
        let two_shards = Look {
            backlogged: 2.0,
            ..hot
        };
        assert_wanted(two_shards, 1, "no more than 1 order can");
        // Beside others that are not behind.
        let beside = Look {
            runnable: 300.0,
            busy: 0.7,
            ..hot
        };
        assert_wanted(beside, 1, "no more than 1 shard can");
    }

    #[test]
    fn where_nothing_is_applied_the_number_stays() {
        let stuck = |workers| Look {
            waiting: 90_000.0,
            backlogged: 16.0,
            messages_per_second: 0.0,
            busy: 0.0,
            workers,
            ..CALM
        };
        assert_wanted(stuck(3.0), 3, "none applied");
        assert_wanted(stuck(20.0), 16, "16 shards");
        // But somebody must begin.
        let nobody = Look {
            unserved: 16.0,
            runnable: 16.0,
            ..stuck(0.0)
        };
        assert_wanted(nobody, 1, "no worker");
        assert_eq!(stuck(3.0).drain_seconds(), None);
    }

    #[test]
    fn shards_that_full_workers_leave_want_one_more() {
        let full = Look {
            unserved: 12.0,
            workers: 2.0,
            busy: 0.2,
            ..CALM
        };
        assert_wanted(full, 3, "12 shards without a worker");
        let idle = Look {
            runnable: 0.0,
            ..full
        };
        assert_wanted(idle, 3, "12 shards without a worker");
    }

    #[test]
    fn a_look_unlike_its_neighbours_moves_nothing() {
        let rush = Look {
            waiting: 1e6,
            backlogged: 16.0,
            busy: 1.0,
            oldest_age_seconds: 40.0,
            ..CALM
        };
        for looks in [[rush, CALM, CALM], [CALM, rush, CALM], [CALM, CALM, rush]] {
            assert_eq!(Look::median(&looks), CALM);
        }
        for looks in [[rush, rush, CALM], [CALM, rush, rush]] {
            assert_eq!(Look::median(&looks), rush);
        }
        assert_eq!(Look::median(&[rush]), rush);
        let more = Look {
            workers: 8.0,
            ..CALM
        };
        assert_eq!(Look::median(&[CALM, CALM, more]), more);
    }
}
