//! Start and end of a process that runs roles: one supervisor, two stages of shutdown.
//!
//! Owns signals, the token that everything watches, and the tracker of every task. Knows no role.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::{Context, anyhow};
use orderly_http::Readiness;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// From "not ready" to "takes nothing new": what a load balancer that looks twice a second needs to turn away.
pub(crate) const DRAIN_DELAY: Duration = Duration::from_millis(500);
/// What is still in flight after this will not end: platforms kill after 30 s, and a log line says more than they do.
const DRAIN_LIMIT: Duration = Duration::from_secs(25);

/// Supervises the roles of one process.
pub(crate) struct Lifecycle {
    readiness: Readiness,
    tracker: TaskTracker,
    token: CancellationToken,
    signals: Signals,
    ended: (mpsc::Sender<End>, mpsc::Receiver<End>),
    /// Roles that have not ended, to name them when a drain takes too long.
    running: Arc<Mutex<BTreeSet<&'static str>>>,
}

/// How a role ended.
struct End {
    role: &'static str,
    result: anyhow::Result<()>,
}

impl Lifecycle {
    /// Signals are heard from here on.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            readiness: Readiness::new(),
            tracker: TaskTracker::new(),
            token: CancellationToken::new(),
            signals: Signals::new()?,
            // One message a role; no process has more than eight.
            ended: mpsc::channel(8),
            running: Arc::default(),
        })
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Starts a role: it runs until the token is cancelled. One that ends before ends the process.
    pub(crate) fn run<F>(&self, role: &'static str, run: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let ended = self.ended.0.clone();
        let running = Arc::clone(&self.running);
        lock(&running).insert(role);
        self.tracker.spawn(async move {
            let result = run.await;
            lock(&running).remove(role);
            // The receiver lives as long as this supervisor: only a process that is ending anyway has none.
            drop(ended.send(End { role, result }).await);
        });
    }

    /// The next signal, while nothing is supervised yet.
    pub(crate) async fn signalled(&mut self) {
        self.signals.next().await;
    }

    /// Prepares something, unless a signal comes first.
    pub(crate) async fn or_signal<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = work => done,
            () = self.signals.next() => Err(anyhow!("stopped while starting")),
        }
    }

    /// Waits for the first signal, or for a role that ends by itself; then drains. The second signal aborts.
    pub(crate) async fn supervise(mut self, drain_delay: Duration) -> anyhow::Result<()> {
        let failure = tokio::select! {
            () = self.signals.next() => None,
            Some(end) = self.ended.1.recv() => Some(end.failure()),
        };
        self.drain(drain_delay).await?;
        let late_failures =
            std::iter::from_fn(|| self.ended.1.try_recv().ok()).filter_map(|end| end.result.err());
        failure
            .into_iter()
            .chain(late_failures)
            .next()
            .map_or(Ok(()), Err)
    }

    /// Drains at once: something else has failed.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.drain(Duration::ZERO).await
    }

    /// Readiness goes first, then everything is told to end and awaited.
    async fn drain(&mut self, delay: Duration) -> anyhow::Result<()> {
        self.readiness.drain();
        tracing::info!("draining; a second signal aborts");
        let (tracker, token) = (self.tracker.clone(), self.token.clone());
        let drained = async {
            tokio::time::sleep(delay).await;
            token.cancel();
            tracker.close();
            tokio::time::timeout(DRAIN_LIMIT, tracker.wait()).await
        };
        tokio::select! {
            drained = drained => drained.map_err(|_| {
                let (tasks, roles) = (self.tracker.len(), lock(&self.running).clone());
                anyhow!("{tasks} tasks did not end within {} s; roles: {roles:?}", DRAIN_LIMIT.as_secs())
            }),
            () = self.signals.next() => Err(anyhow!("aborted by the second signal")),
        }
    }
}

impl End {
    /// A role that ended before it was told to has failed, whatever it says.
    fn failure(self) -> anyhow::Error {
        let role = self.role;
        match self.result {
            Ok(()) => anyhow!("role {role} ended by itself"),
            Err(error) => error.context(format!("role {role}")),
        }
    }
}

fn lock<'a>(running: &'a Mutex<BTreeSet<&'static str>>) -> MutexGuard<'a, BTreeSet<&'static str>> {
    running
        .lock()
        .expect("no code that can panic runs under this lock")
}

/// SIGTERM (a platform) and SIGINT (a person).
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// The next one of either.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
