//! Worker processes of a storm's own, and what is done to them: killed as a crash would, stopped as a machine that swaps, ended as a
//! deployment does.
//!
//! Owns the processes: none outlives a storm that ends, by itself, by an error or by a signal; one that is killed by SIGKILL leaves
//! them. Touches no process that it did not start.

use std::{
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::history::{FaultDone, Stopwatch};
use crate::dice::Dice;

/// How one worker is started.
#[derive(Clone, Debug)]
pub struct WorkerProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What is set in its environment; anything else of ORDERLY_ is taken out.
    pub environment: Vec<(String, String)>,
}

/// What is done to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a new process.
    KillWorker,
    /// SIGSTOP for seconds, then SIGCONT: a worker that does not know what it missed.
    StopWorker,
    /// SIGTERM, and a new process: what a deployment does to every worker.
    EndWorker,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 3] = [Self::KillWorker, Self::StopWorker, Self::EndWorker];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KillWorker => "kill-worker",
            Self::StopWorker => "stop-worker",
            Self::EndWorker => "end-worker",
        }
    }
}

/// One works, the other stands by; then the other way round.
const WORKERS: usize = 2;
/// Between two faults: long enough that work is done, short enough that a few fit into seconds.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(700), Duration::from_secs(3));
/// A platform starts a new process within about this.
const RESTART: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(800));
/// Beyond the 25 s that a role gives itself to drain.
const END_LIMIT: Duration = Duration::from_secs(40);
/// Beyond what any lease or patience of seconds covers.
const STOPPED: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(8));

/// The processes.
pub(super) struct Workers {
    program: WorkerProgram,
    clock: Stopwatch,
    running: Vec<Child>,
    done: Vec<FaultDone>,
}

impl Workers {
    pub(super) fn start(program: &WorkerProgram, clock: Stopwatch) -> Result<Self> {
        let mut workers = Self {
            program: program.clone(),
            clock,
            running: Vec::with_capacity(WORKERS),
            done: Vec::new(),
        };
        for _ in 0..WORKERS {
            let child = workers.spawn()?;
            workers.running.push(child);
        }
        Ok(workers)
    }

    /// Does one thing after the other until `token` is cancelled; then every worker runs.
    pub(super) async fn suffer(
        &mut self,
        faults: &[Fault],
        mut dice: Dice,
        token: &CancellationToken,
    ) -> Result<()> {
        if faults.is_empty() {
            return Ok(());
        }
        loop {
            let pause = dice.time(BETWEEN.0, BETWEEN.1);
            if sleep_or_end(pause, token).await {
                return self.note_ended();
            }
            self.note_ended()?;
            let victim = dice.below(WORKERS);
            match faults[dice.below(faults.len())] {
                Fault::KillWorker => self.kill(victim, &mut dice, token).await?,
                Fault::StopWorker => self.stop(victim, &mut dice, token).await?,
                Fault::EndWorker => self.hand_over(victim, &mut dice, token).await?,
            }
        }
    }

    /// Everything that was done to them.
    pub(super) fn done(&self) -> Vec<FaultDone> {
        self.done.clone()
    }

    /// Ends them for good.
    pub(super) async fn end(mut self) -> Result<()> {
        for worker in &mut self.running {
            worker.kill().await.context("end a worker")?;
        }
        Ok(())
    }

    async fn kill(
        &mut self,
        victim: usize,
        dice: &mut Dice,
        token: &CancellationToken,
    ) -> Result<()> {
        self.note("killed", victim);
        let killed = self.running[victim].kill().await;
        killed.context("kill a worker")?;
        self.restart(victim, dice, token).await
    }

    async fn hand_over(
        &mut self,
        victim: usize,
        dice: &mut Dice,
        token: &CancellationToken,
    ) -> Result<()> {
        self.note("asked to end", victim);
        self.signal(victim, Signal::SIGTERM)?;
        let ended = tokio::time::timeout(END_LIMIT, self.running[victim].wait()).await;
        let ended = ended.with_context(|| {
            let seconds = END_LIMIT.as_secs();
            format!("a worker that was asked to end has not ended after {seconds} s")
        })?;
        if !ended.context("await the end of a worker")?.success() {
            self.note("ended with an error", victim);
        }
        self.restart(victim, dice, token).await
    }

    /// As a platform does, after a moment.
    async fn restart(
        &mut self,
        victim: usize,
        dice: &mut Dice,
        token: &CancellationToken,
    ) -> Result<()> {
        sleep_or_end(dice.time(RESTART.0, RESTART.1), token).await;
        self.running[victim] = self.spawn()?;
        self.note("started", victim);
        Ok(())
    }

    async fn stop(
        &mut self,
        victim: usize,
        dice: &mut Dice,
        token: &CancellationToken,
    ) -> Result<()> {
        self.note("stopped", victim);
        self.signal(victim, Signal::SIGSTOP)?;
        sleep_or_end(dice.time(STOPPED.0, STOPPED.1), token).await;
        self.signal(victim, Signal::SIGCONT)?;
        self.note("continued", victim);
        Ok(())
    }

    fn signal(&self, victim: usize, signal: Signal) -> Result<()> {
        let Some(id) = self.running[victim].id() else {
            // It has ended; that is noted at the next look.
            return Ok(());
        };
        let id = i32::try_from(id).context("a process id")?;
        kill(Pid::from_raw(id), signal).context("signal a worker")
    }

    /// A worker that ended by itself is started again, as a platform would, and the report says so.
    fn note_ended(&mut self) -> Result<()> {
        for worker in 0..WORKERS {
            let ended: Option<ExitStatus> = self.running[worker].try_wait()?;
            if ended.is_some() {
                self.note("ended by itself", worker);
                self.running[worker] = self.spawn()?;
                self.note("started", worker);
            }
        }
        Ok(())
    }

    fn note(&mut self, what: &'static str, worker: usize) {
        let at = self.clock.now();
        self.done.push(FaultDone { at, what, worker });
    }

    fn spawn(&self) -> Result<Child> {
        let mut command = Command::new(&self.program.program);
        command.args(&self.program.arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ORDERLY_") {
                command.env_remove(name);
            }
        }
        let environment = self.program.environment.iter();
        command
            .envs(environment.map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A signal from the terminal is for the storm, which ends them.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("start a worker")
    }
}

/// Whether the end came first.
async fn sleep_or_end(pause: Duration, token: &CancellationToken) -> bool {
    let slept = token.run_until_cancelled(tokio::time::sleep(pause)).await;
    slept.is_none()
}
