//! One server as a process: started, found ready, signalled, ended. Knows nothing of what the server does.
//!
//! Everything here blocks; the public methods do it off the async threads, so that a handle works under any runtime
//! and outlives the one that started it.

use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::error::DevEnvError;
use crate::readiness::{Notices, Readiness};
use crate::spec::{LOG_FILE, LOOK_AGAIN, STOP_LIMIT, Spec, send, wait_until};

/// `RabbitMQ` takes 5 s on an idle machine; beside a build on two cores it was seen to take 11 s.
const READY_LIMIT: Duration = Duration::from_secs(90);

/// A handle on one private server. Clones name the same server.
///
/// Its port and data stay the same over any number of starts, so a test may stop, kill and start it under its clients.
#[derive(Debug, Clone)]
pub struct ServerProcess {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spec: Spec,
    child: Mutex<Option<Child>>,
}

impl ServerProcess {
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            shared: Arc::new(Shared {
                spec,
                child: Mutex::new(None),
            }),
        }
    }

    /// The server's name: `PostgreSQL`, `RabbitMQ`, `Redis`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared.spec.name
    }

    /// The process id of the server's main process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let mut child = self.shared.child();
        let running = child.as_mut()?.try_wait().is_ok_and(|end| end.is_none());
        running.then(|| child.as_ref().map(Child::id)).flatten()
    }

    /// Does the server's main process run?
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// The file that gets what the server prints.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.shared.spec.folder.join(LOG_FILE)
    }

    /// Starts the server on its port and data, and returns once it serves.
    ///
    /// # Errors
    /// When it runs already, ends while starting, or is not ready in time.
    pub async fn start(&self) -> Result<(), DevEnvError> {
        let shared = Arc::clone(&self.shared);
        off_async(move || shared.start()).await
    }

    /// Stops the server cleanly, or by SIGKILL if that takes too long. Does nothing if it is not running.
    pub async fn stop(&self) {
        let shared = Arc::clone(&self.shared);
        off_async(move || shared.stop()).await;
    }

    /// Ends the server with SIGKILL, at once and with all its processes, as a crash of the machine would end it.
    pub async fn kill(&self) {
        let shared = Arc::clone(&self.shared);
        off_async(move || shared.kill()).await;
    }

    /// Stops the server's main process where it stands (SIGSTOP), as a machine that hangs. Whether there is one.
    #[must_use]
    pub fn freeze(&self) -> bool {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on (SIGCONT). Whether there is one.
    #[must_use]
    pub fn thaw(&self) -> bool {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> bool {
        let pid = self.pid();
        if let Some(pid) = pid {
            send(pid.cast_signed(), signal);
        }
        pid.is_some()
    }

    /// Ends the server and starts it again.
    ///
    /// # Errors
    /// As [`ServerProcess::start`].
    pub async fn restart(&self) -> Result<(), DevEnvError> {
        self.stop().await;
        self.start().await
    }

    pub(crate) fn start_blocking(&self) -> Result<(), DevEnvError> {
        self.shared.start()
    }

    pub(crate) fn stop_blocking(&self) {
        self.shared.stop();
    }

    /// Ends what an earlier owner of this folder left running.
    pub(crate) fn end_stale(&self) {
        self.shared.spec.end_stale();
    }
}

/// Runs blocking work off the async threads.
pub(crate) async fn off_async<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Shared {
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<(), DevEnvError> {
        let spec = &self.spec;
        let notices = match spec.readiness {
            Readiness::Notifies => Some(Notices::listen()?),
            _ => None,
        };
        {
            let mut child = self.child();
            if let Some(running) = child.as_mut()
                && matches!(running.try_wait(), Ok(None))
            {
                return Err(DevEnvError::Running(spec.name));
            }
            spec.end_remnants();
            *child = Some(spec.launch(notices.as_ref())?);
        }
        let begun = Instant::now();
        while !spec.readiness.shown(notices.as_ref()) {
            if let Some(status) = self.ended() {
                return Err(DevEnvError::Ended {
                    server: spec.name,
                    status,
                    log: spec.folder.join(LOG_FILE),
                    tail: spec.log_tail(),
                });
            }
            if begun.elapsed() > READY_LIMIT {
                return Err(DevEnvError::NotReady {
                    server: spec.name,
                    seconds: READY_LIMIT.as_secs(),
                    log: spec.folder.join(LOG_FILE),
                    tail: spec.log_tail(),
                });
            }
            // A notice is waited for on its socket.
            if notices.is_none() {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(server = spec.name, took_ms, "private server ready");
        Ok(())
    }

    fn stop(&self) {
        self.end(self.spec.stop, STOP_LIMIT);
    }

    fn kill(&self) {
        self.end(Signal::SIGKILL, STOP_LIMIT);
        self.spec.end_remnants();
    }

    fn end(&self, signal: Signal, limit: Duration) {
        // Taken out, not held: another thread may ask for the state meanwhile.
        let Some(mut child) = self.child().take() else {
            return;
        };
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        if !ended(&mut child) {
            send(child.id().cast_signed(), signal);
            if !wait_until(limit, || ended(&mut child)) {
                tracing::warn!(
                    server = self.spec.name,
                    "private server does not stop: killing it"
                );
                send(child.id().cast_signed(), Signal::SIGKILL);
                wait_until(limit, || ended(&mut child));
            }
        }
        self.spec.forget_pid();
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.child().as_mut()?.try_wait().ok().flatten()
    }
}
