//! One clock for everything that a run stamps: sends, answers, arrivals. Monotonic, in nanoseconds since the run began.

use std::time::{Duration, Instant, SystemTime};

/// The run's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.origin.elapsed())
    }

    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.origin + Duration::from_nanos(at)
    }

    /// When the wall clock, which a server on this machine shares, showed `wall`.
    pub(crate) fn at(&self, wall: SystemTime) -> u64 {
        nanos(wall.duration_since(self.wall).unwrap_or_default())
    }

    /// The wall clock at `at`, which a server on this machine shares.
    pub(crate) fn wall(&self, at: u64) -> SystemTime {
        self.wall + Duration::from_nanos(at)
    }
}

/// Nanoseconds; no run lasts the 584 years that do not fit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
