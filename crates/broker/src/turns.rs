//! Turns: how many of a process's shards do one kind of work at a time.
//!
//! Nothing waits for a batch to fill. But when all shards work at once on a few cores, each comes round sooner with less in
//! hand, and what is paid by the batch (a transaction, a confirm) is paid more often. With fewer at a time what arrives
//! meanwhile joins the next batch. An idle process never makes anybody wait.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The turns of a process. All clones share them.
#[derive(Clone, Debug)]
pub struct Turns {
    permits: Arc<Semaphore>,
    limit: Duration,
}

/// The right to do one piece of work now. Dropping it ends it.
#[derive(Debug)]
pub struct Turn {
    permit: OwnedSemaphorePermit,
    limit: Duration,
}

impl Turns {
    /// One turn a core, and at least two, so that one goes on while another waits for a disk. A turn ends after `limit` at the
    /// latest: work that takes longer waits for a lock, a disk or a network, and needs no core meanwhile.
    #[must_use]
    pub fn one_a_core(limit: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores.max(2), limit)
    }

    pub(crate) fn new(at_a_time: usize, limit: Duration) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(at_a_time)),
            limit,
        }
    }

    /// Waits for a turn; whoever came first is first.
    ///
    /// # Panics
    /// Never: the semaphore stays open.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place.
    pub async fn next(&self) -> Turn {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        Turn {
            permit: permit.expect("the semaphore is never closed"),
            limit: self.limit,
        }
    }
}

impl Turn {
    /// Does the work. The turn ends with it or at its limit; the work then goes on without it.
    pub async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = timeout(self.limit, &mut work).await {
            return done;
        }
        drop(self.permit);
        work.await
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::Instant};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_given_when_one_ends() {
        let turns = Turns::new(1, LIMIT);
        let first = turns.next().await;
        let mut second = pin!(turns.next());
        assert!(timeout(LIMIT, &mut second).await.is_err());
        drop(first);
        second.await;
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_stuck_holds_up_others_for_the_limit() {
        let turns = Turns::new(1, LIMIT);
        let (free, stuck) = oneshot::channel();
        let first = turns.next().await;
        let work = tokio::spawn(first.during(stuck));
        let since = Instant::now();
        turns.next().await;
        assert_eq!(since.elapsed(), LIMIT);
        free.send(7).expect("the work goes on");
        assert_eq!(work.await.expect("no panic"), Ok(7));
    }
}
