//! How long to wait between two attempts. Owns the arithmetic only; the caller sleeps.

use std::time::{Duration, Instant};

use uuid::Uuid;

/// Short enough that a lost connection costs nothing noticeable.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Long enough to be no load on a server that starts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A server that asks for more gets this: progress must stay visible to the person who waits.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(30);

/// Doubling pauses until a patience is used up.
pub(crate) struct Backoff {
    ends_at: Instant,
    pause: Duration,
}

impl Backoff {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            ends_at: Instant::now() + patience,
            pause: FIRST_PAUSE,
        }
    }

    /// The next pause; at least what the server asked for. `None` once the patience is used up.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let own = self.pause;
        self.pause = (own * 2).min(LONGEST_PAUSE);
        let pause = asked.map_or(own, |asked| asked.min(LONGEST_ASKED_PAUSE).max(own));
        let pause = pause + jitter(pause / 2);
        (Instant::now() + pause < self.ends_at).then_some(pause)
    }
}

/// 0 to `most`: many clients that were refused together must not come back together.
fn jitter(most: Duration) -> Duration {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    most.mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Duration, FIRST_PAUSE, LONGEST_PAUSE};

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut backoff = Backoff::new(Duration::from_hours(1));
        let pauses: Vec<_> = (0..12).map(|_| backoff.next(None).unwrap()).collect();
        assert!(pauses[0] >= FIRST_PAUSE && pauses[0] <= FIRST_PAUSE * 3 / 2);
        assert!(pauses[11] >= LONGEST_PAUSE && pauses[11] <= LONGEST_PAUSE * 3 / 2);
    }

    #[test]
    fn a_server_is_given_the_time_it_asks_for() {
        let mut backoff = Backoff::new(Duration::from_hours(1));
        assert!(backoff.next(Some(Duration::from_secs(7))).unwrap() >= Duration::from_secs(7));
    }

    #[test]
    fn patience_ends() {
        assert_eq!(Backoff::new(Duration::ZERO).next(None), None);
    }
}
