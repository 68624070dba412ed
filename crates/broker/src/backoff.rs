//! Pauses between attempts to come back. Owns their lengths; whoever waits also watches his token.

use std::time::Duration;

use uuid::Uuid;

/// A dropped connection comes back at once; only what stays away is asked less often.
const FIRST: Duration = Duration::from_millis(200);

/// A restarted broker or database is found within 1.5 s, so that commands flow within 3 s of its start; an attempt a second
/// and process does not weigh on an absent one.
const LONGEST: Duration = Duration::from_secs(1);

/// Doubling pauses, by default from 200 ms to 1 s, each with a jitter of half its length in both directions.
#[derive(Clone, Debug)]
pub struct Backoff {
    pause: Duration,
    first: Duration,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::between(FIRST, LONGEST)
    }
}

impl Backoff {
    /// Pauses between other bounds.
    #[must_use]
    pub fn between(first: Duration, longest: Duration) -> Self {
        Self {
            pause: first,
            first,
            longest,
        }
    }

    /// The pause before the next attempt.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.longest);
        // A random v4 UUID: processes that lost the same broker must not come back in step.
        let [random, ..] = Uuid::new_v4().into_bytes();
        pause * (50 + u32::from(random) % 101) / 100
    }

    /// It works again: the next failure begins with the first pause.
    pub fn reset(&mut self) {
        self.pause = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::default();
        for expected_ms in [200, 400, 800, 1_000, 1_000] {
            let pause = backoff.next_pause();
            let expected = Duration::from_millis(expected_ms);
            assert!(
                (expected / 2..=expected * 3 / 2).contains(&pause),
                "{pause:?} for {expected:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next_pause() <= FIRST * 3 / 2);
    }
}
