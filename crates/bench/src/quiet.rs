//! Was the machine ours alone? Figures of a busy one are printed all the same, and marked.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::procfs;
use crate::random::Random;

/// Above this share of a core, others disturb: a build takes a hundred, a desktop at rest one.
const OTHERS_PERCENT: f64 = 5.0;
/// Time that the host took away, in percent of a core.
const STOLEN_PERCENT: f64 = 2.0;
/// How much slower the fixed piece of work may be than its best of the run.
const SLOWDOWN: f64 = 1.15;
/// Steps of the fixed piece of work: about 30 ms a core, long enough to meet a busy neighbour.
const STEPS: u64 = 20_000_000;
/// How long the machine is watched before a round.
const LOOK: Duration = Duration::from_millis(500);

/// How quiet a stretch of time was.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Noise {
    pub(crate) quiet: bool,
    /// CPU of processes that are not ours, before the round began.
    pub(crate) others_before_percent_of_a_core: f64,
    /// The same during the round.
    pub(crate) others_during_percent_of_a_core: f64,
    /// What the host took away during the round.
    pub(crate) stolen_percent_of_a_core: f64,
    /// A fixed piece of work before the round, against its best of the run.
    pub(crate) spin_ms: f64,
    pub(crate) spin_slowdown: f64,
}

/// Watches the machine round by round.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    best_spin: Option<Duration>,
}

/// The beginning of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    others: f64,
    spin: Duration,
    look: Look,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    busy: f64,
    stolen: f64,
    ours: f64,
}

impl Observer {
    /// Looks before a round.
    pub(crate) async fn before(&mut self) -> Result<Before> {
        let look = Look::now()?;
        tokio::time::sleep(LOOK).await;
        let (others, _) = look.since()?;
        let spin = tokio::task::spawn_blocking(spin_on_two_threads).await?;
        let best = self.best_spin.map_or(spin, |best| best.min(spin));
        self.best_spin = Some(best);
        Ok(Before {
            others,
            spin,
            look: Look::now()?,
        })
    }

    /// Looks after it.
    pub(crate) fn after(&self, before: Before) -> Result<Noise> {
        let (others, stolen) = before.look.since()?;
        let best = self.best_spin.unwrap_or(before.spin);
        let slowdown = before.spin.as_secs_f64() / best.as_secs_f64();
        Ok(Noise {
            quiet: before.others <= OTHERS_PERCENT
                && others <= OTHERS_PERCENT
                && stolen <= STOLEN_PERCENT
                && slowdown <= SLOWDOWN,
            others_before_percent_of_a_core: before.others,
            others_during_percent_of_a_core: others,
            stolen_percent_of_a_core: stolen,
            spin_ms: before.spin.as_secs_f64() * 1e3,
            spin_slowdown: slowdown,
        })
    }
}

impl Look {
    fn now() -> Result<Self> {
        let (busy, stolen) = procfs::machine_seconds()?;
        Ok(Self {
            at: Instant::now(),
            busy,
            stolen,
            // Servers and roles are all started by this process.
            ours: procfs::tree_seconds(std::process::id())?,
        })
    }

    /// Percent of a core that others used, and that was stolen, since this look.
    fn since(&self) -> Result<(f64, f64)> {
        let now = Self::now()?;
        let elapsed = (now.at - self.at).as_secs_f64().max(1e-3);
        let others = (now.busy - self.busy) - (now.ours - self.ours);
        // The kernel rounds each process by itself: a small negative rest is nothing.
        let percent = |seconds: f64| (seconds / elapsed * 100.0).max(0.0);
        Ok((percent(others), percent(now.stolen - self.stolen)))
    }
}

/// The slower of two threads that do the same fixed work: on two cores a busy neighbour meets one of them.
fn spin_on_two_threads() -> Duration {
    std::thread::scope(|scope| {
        let threads = [scope.spawn(spin), scope.spawn(spin)];
        let times = threads.map(|thread| thread.join().expect("arithmetic does not panic"));
        times[0].max(times[1])
    })
}

fn spin() -> Duration {
    let begun = Instant::now();
    let mut random = Random::new(1);
    for _ in 0..STEPS {
        black_box(random.next());
    }
    begun.elapsed()
}
