//! When requests are due. Closed: as soon as the connection is free. Open: at fixed times, whatever became of earlier ones;
//! latency counts from the time a request was due, so a stall is seen by everything that it held up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

use crate::clock::Clock;

/// How fast requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Each connection sends when its last answer is there.
    Closed,
    /// So many a second, evenly.
    Open(u32),
}

/// Hands out times at which something is due, until the end.
#[derive(Clone)]
pub(crate) struct Pacer {
    clock: Clock,
    end: u64,
    /// Of an open pace; whoever is free takes the next.
    due: Option<Arc<Mutex<mpsc::UnboundedReceiver<u64>>>>,
}

impl Pacer {
    pub(crate) fn start(pace: Pace, clock: Clock, begin: u64, end: u64) -> Self {
        let due = match pace {
            Pace::Closed => None,
            Pace::Open(per_second) => {
                let (sender, receiver) = mpsc::unbounded_channel();
                // A thread of its own: the runtime's timer counts in milliseconds, which is as long as what is measured.
                std::thread::spawn(move || {
                    for at in schedule(per_second, begin, end) {
                        let ahead = at.saturating_sub(clock.now());
                        if ahead > 0 {
                            std::thread::sleep(Duration::from_nanos(ahead));
                        }
                        if sender.send(at).is_err() {
                            return;
                        }
                    }
                });
                Some(Arc::new(Mutex::new(receiver)))
            }
        };
        Self { clock, end, due }
    }

    /// When the next request is due: now, or in the past if nobody was free in time. `None` at the end.
    pub(crate) async fn next(&self) -> Option<u64> {
        match &self.due {
            None => Some(self.clock.now()).filter(|now| *now < self.end),
            Some(due) => due.lock().await.recv().await,
        }
    }
}

/// The times of an open pace.
fn schedule(per_second: u32, begin: u64, end: u64) -> impl Iterator<Item = u64> {
    (0_u64..)
        .map(move |index| begin + index * 1_000_000_000 / u64::from(per_second))
        .take_while(move |at| *at < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_pace_is_even_and_ends() {
        let times: Vec<u64> = schedule(3, 500, 1_000_000_600).collect();
        assert_eq!(times, [500, 333_333_833, 666_667_166, 1_000_000_500]);
    }

    #[tokio::test]
    async fn what_nobody_was_free_for_stays_due_when_it_was() {
        let clock = Clock::start();
        let begin = clock.now();
        let pacer = Pacer::start(Pace::Open(1_000), clock, begin, begin + 5_000_000);
        // Nobody asks before all of them are due.
        std::thread::sleep(Duration::from_millis(10));
        let mut due = Vec::new();
        while let Some(at) = pacer.next().await {
            due.push((at - begin) / 1_000);
        }
        assert_eq!(due, [0, 1_000, 2_000, 3_000, 4_000]);
    }

    #[tokio::test]
    async fn a_closed_pace_is_due_at_once_until_its_end() {
        let clock = Clock::start();
        let pacer = Pacer::start(Pace::Closed, clock, 0, clock.now() + 2_000_000);
        assert!(pacer.next().await.is_some());
        std::thread::sleep(Duration::from_millis(3));
        assert_eq!(pacer.next().await, None);
    }
}
