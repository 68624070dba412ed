//! `orderly` as a program: its setup commands, and its roles as processes of their own.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::load::HttpConnection;
use crate::procfs::Group;

/// A role is ready within a second; on a machine that builds beside it, within several.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// A drain ends within the 25 s that a role gives itself.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at a file or a probe.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The program on the servers of one deployment.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) database_url: String,
    pub(crate) amqp_url: String,
    /// Where logs go.
    pub(crate) folder: PathBuf,
    /// In the names of logs.
    pub(crate) deployment: String,
}

/// A role, running. Ends with this value.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    child: Child,
}

impl Program {
    /// Runs a command to its end and gives what it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().await;
        let output = output.with_context(|| format!("run {}", self.path.display()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("orderly {} failed: {}", arguments.join(" "), stderr.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts a role on a free port and waits until it is ready.
    pub(crate) async fn start(&self, role: &str) -> Result<Role> {
        let begun = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
        let log = self
            .folder
            .join(format!("{}-{role}-{begun}.log", self.deployment));
        let arguments = [role, "--http-addr", "127.0.0.1:0", "--log-format", "json"];
        let child = self
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(File::create(&log).context("create a log")?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start orderly {role}"))?;
        let deadline = Instant::now() + READY_LIMIT;
        let address = listening(&log, deadline)
            .await
            .with_context(|| format!("orderly {role} does not listen; see {}", log.display()))?;
        let role = Role {
            name: role.to_owned(),
            address,
            log,
            child,
        };
        role.ready(deadline).await?;
        Ok(role)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        // Nothing of the caller's own settings.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ORDERLY_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("ORDERLY_DATA_DIR", "/nonexistent")
            .env("ORDERLY_DATABASE_URL", &self.database_url)
            .env("ORDERLY_AMQP_URL", &self.amqp_url)
            .stdin(Stdio::null());
        command
    }
}

impl Role {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(crate) fn group(&self) -> Option<Group> {
        Some(Group {
            name: self.name.clone(),
            root: self.pid()?,
            with_descendants: false,
        })
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("kill a role")
    }

    /// As [`Role::end`], for good.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.end().await
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn end(&mut self) -> Result<()> {
        if let Some(pid) = self.pid() {
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).context("signal a role")?;
        }
        let ended = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        match ended {
            Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => Ok(()),
            Ok(status) => bail!("orderly {} ended with {}", self.name, status?),
            Err(_) => bail!("orderly {} did not end", self.name),
        }
    }

    /// Its metrics, each summed over its labels.
    pub(crate) async fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let (_, body) = self.get("/metrics").await?;
        let mut sums = BTreeMap::new();
        for line in body.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let name = series.split('{').next().unwrap_or(series);
            // Quantiles of a summary carry its bare name, and do not add up.
            if let (Ok(value), false) = (value.parse::<f64>(), series.contains("quantile=")) {
                *sums.entry(name.to_owned()).or_insert(0.0) += value;
            }
        }
        Ok(sums)
    }

    async fn ready(&self, deadline: Instant) -> Result<()> {
        while Instant::now() < deadline {
            if let Ok((200, _)) = self.get("/readyz").await {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bail!(
            "orderly {} is not ready; see {}",
            self.name,
            self.log.display()
        )
    }

    pub(crate) async fn get(&self, path: &str) -> Result<(u16, String)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let mut body = Vec::new();
        let mut connection = HttpConnection::open(self.address).await?;
        let status = connection
            .exchange(request.as_bytes(), Some(&mut body))
            .await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// What the logs in `folder` warn of, each with how often it was said.
pub(crate) fn warnings(folder: &Path) -> Result<BTreeMap<String, usize>> {
    let mut warnings = BTreeMap::new();
    for entry in std::fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for line in text.lines() {
            let Ok(entry) = serde_json::from_str::<Value>(line) else {
                // Not a line of the log: a panic, or what a library printed.
                *warnings.entry(line.to_owned()).or_insert(0) += 1;
                continue;
            };
            if matches!(entry["level"].as_str(), Some("WARN" | "ERROR")) {
                let said = format!(
                    "{} {}: {} {}",
                    entry["level"].as_str().unwrap_or_default(),
                    entry["target"].as_str().unwrap_or_default(),
                    entry["message"].as_str().unwrap_or_default(),
                    entry["error"].as_str().unwrap_or_default()
                );
                *warnings.entry(said).or_insert(0) += 1;
            }
        }
    }
    Ok(warnings)
}

/// The address that a role says it listens on.
async fn listening(log: &Path, deadline: Instant) -> Result<SocketAddr> {
    loop {
        let text = tokio::fs::read_to_string(log).await?;
        let said = text.lines().find_map(|line| {
            let entry: Value = serde_json::from_str(line).ok()?;
            entry["address"].as_str()?.parse().ok()
        });
        if let Some(address) = said {
            return Ok(address);
        }
        if Instant::now() > deadline {
            bail!("its log names no address: {}", text.trim());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
