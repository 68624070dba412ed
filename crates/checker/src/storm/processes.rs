//! The processes of a storm's own, each with its ways to the servers: started, killed, stopped, ended.
//!
//! Owns them: none outlives the storm. Touches no process that it did not start.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::Child;

use super::{
    deployment::{Deployment, Role, Server, Ways},
    fault::clock_library,
    link::Link,
};

/// One works, the other stands by; then the other way round.
pub(super) const WORKERS: usize = 2;
/// Beyond the 25 s that a role gives itself to drain.
const END_LIMIT: Duration = Duration::from_secs(40);

/// One process, and what may be done to it.
pub(super) struct Process {
    pub(super) name: String,
    role: Role,
    child: Child,
    database: Link,
    broker: Link,
    /// What its clock shows beside the machine's, as faketime has it.
    clock: Option<&'static str>,
}

impl Process {
    pub(super) async fn start(deployment: &dyn Deployment, name: &str, role: Role) -> Result<Self> {
        let servers = deployment.servers();
        let database = Link::open(vec![servers.database]).await?;
        let broker = Link::open(servers.brokers).await?;
        let ways = Ways {
            database: database.port(),
            broker: broker.port(),
        };
        Ok(Self {
            child: spawn(deployment, name, role, ways, None)?,
            name: name.to_owned(),
            role,
            database,
            broker,
            clock: None,
        })
    }

    /// Starts it anew, once it has ended.
    pub(super) fn restart(&mut self, deployment: &dyn Deployment) -> Result<()> {
        let ways = Ways {
            database: self.database.port(),
            broker: self.broker.port(),
        };
        self.child = spawn(deployment, &self.name, self.role, ways, self.clock)?;
        Ok(())
    }

    pub(super) async fn kill(&mut self) -> Result<()> {
        let killed = self.child.kill().await;
        killed.with_context(|| format!("kill {}", self.name))
    }

    /// Waits for the end that it was asked for.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(END_LIMIT, self.child.wait()).await;
        let ended = ended.with_context(|| {
            let seconds = END_LIMIT.as_secs();
            format!(
                "{} was asked to end and has not after {seconds} s",
                self.name
            )
        })?;
        ended.with_context(|| format!("await the end of {}", self.name))
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let Some(id) = self.child.id() else {
            // It has ended; that is noted at the next look.
            return Ok(());
        };
        let id = i32::try_from(id).context("a process id")?;
        kill(Pid::from_raw(id), signal).with_context(|| format!("signal {}", self.name))
    }

    pub(super) fn link(&self, server: Server) -> &Link {
        match server {
            Server::Database => &self.database,
            Server::Broker(_) => &self.broker,
        }
    }

    pub(super) fn set_clock(&mut self, clock: Option<&'static str>) {
        self.clock = clock;
    }

    /// Whether it ended without being asked to.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }
}

fn spawn(
    deployment: &dyn Deployment,
    name: &str,
    role: Role,
    ways: Ways,
    clock: Option<&'static str>,
) -> Result<Child> {
    let mut command = deployment.process(name, role, ways)?;
    if let Some(clock) = clock {
        let library = clock_library().context("libfaketime is not installed")?;
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME", clock)
            // Nobody's monotonic clock jumps: that one is the kernel's promise.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // A signal from the terminal is for the storm, which ends them.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {name}"))
}
