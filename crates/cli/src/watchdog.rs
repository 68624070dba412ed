//! Ends a process whose runtime hangs.
//!
//! The broker client's I/O thread answers heartbeats by itself: a process whose tasks no longer run would keep its
//! shards for ever. This thread shares nothing with the runtime but one counter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Often enough that a busy runtime is not taken for a dead one.
const TICK: Duration = Duration::from_millis(500);
/// One look a second; the thread's own pauses count, not the clock: a process that was stopped (SIGSTOP, a sleeping
/// laptop) finds its watchdog as old as its runtime when it goes on.
const LOOK: Duration = Duration::from_secs(1);
/// Looks without a tick: 5 s, the heartbeat of the broker, and far beyond any poll of a healthy task.
const PATIENCE_LOOKS: u32 = 5;

/// Set once nothing is left to watch.
static ENDED: AtomicBool = AtomicBool::new(false);

/// The work is done and the runtime ends: its silence means nothing any more.
pub(crate) fn end() {
    ENDED.store(true, Ordering::SeqCst);
}

/// Watches the runtime that this is called on until [`end`]: a drain can hang too.
pub(crate) fn start() -> std::io::Result<()> {
    let ticks = Arc::new(AtomicU64::new(0));
    let ticking = Arc::clone(&ticks);
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(TICK);
        loop {
            interval.tick().await;
            ticking.fetch_add(1, Ordering::Relaxed);
        }
    });
    let watch = move || {
        let mut silence = Silence::default();
        loop {
            thread::sleep(LOOK);
            if ENDED.load(Ordering::SeqCst) {
                return;
            }
            if silence.looks_after(ticks.load(Ordering::Relaxed)) >= PATIENCE_LOOKS {
                eprintln!(
                    "orderly: the runtime did not run for {PATIENCE_LOOKS} s; ending the process"
                );
                std::process::abort();
            }
        }
    };
    thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(watch)
        .map(drop)
}

/// Looks since the counter last moved.
#[derive(Default)]
struct Silence {
    last: u64,
    looks: u32,
}

impl Silence {
    fn looks_after(&mut self, ticks: u64) -> u32 {
        self.looks = if ticks == self.last {
            self.looks + 1
        } else {
            0
        };
        self.last = ticks;
        self.looks
    }
}

#[cfg(test)]
mod tests {
    use super::Silence;

    #[test]
    fn any_tick_ends_the_silence() {
        let mut silence = Silence::default();
        let looks: Vec<_> = [1, 1, 1, 2, 2, 3]
            .into_iter()
            .map(|ticks| silence.looks_after(ticks))
            .collect();
        assert_eq!(looks, [0, 1, 2, 0, 1, 0]);
    }
}
