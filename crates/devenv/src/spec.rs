//! What one server consists of: its program, its folder, and what of it may be left there.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::DevEnvError;
use crate::files;
use crate::place::Account;
use crate::readiness::{Notices, Readiness};

/// The file in a server's folder that names its process.
const PID_FILE: &str = "pid";
/// The file in a server's folder that gets what it prints.
pub(crate) const LOG_FILE: &str = "log";
/// The file in the data folder by which the guardian says that no server may start any more.
pub(crate) const ENDED_FILE: &str = "ended";

/// A server that was asked to stop takes about 1 s; past this it is killed.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(20);
/// What is left of a killed server ends by itself within milliseconds.
const REMNANT_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at a condition that nothing announces: fine enough against starts of half a second and more.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Writes its pid, then becomes the server. It asks for the end mark *after* it wrote the pid, and the guardian sets
/// the mark *before* it reads pids: a server that starts while its owner dies is seen by one of the two.
const LAUNCHER: &str = r#"echo $$ >pid && [ ! -e "$0" ] && exec "$@""#;

/// Everything needed to start one server, again and again.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// Its own folder inside the data folder, and its working directory: that proves a pid to be ours.
    pub(crate) folder: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Its whole environment, `PATH` apart.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    pub(crate) account: Option<Account>,
    pub(crate) readiness: Readiness,
    /// The signal that asks for a clean stop.
    pub(crate) stop: Signal,
}

impl Spec {
    /// A command that leaves its pid in the server's folder, for the guardian and for a later owner.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let data = self.folder.parent().unwrap_or(&self.folder);
        let mut command = launcher(data, &self.folder, program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    pub(crate) fn launch(&self, notices: Option<&Notices>) -> Result<Child, DevEnvError> {
        let log = self.folder.join(LOG_FILE);
        let open = || {
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&log)
                .map_err(files::io("open", &log))
        };
        let mut command = self.command(&self.program);
        if let Some(notices) = notices {
            command.env("NOTIFY_SOCKET", format!("@{}", notices.name));
        }
        command
            .args(&self.arguments)
            .stdout(open()?)
            .stderr(open()?)
            .spawn()
            .map_err(files::io("start", &self.program))
    }

    /// Ends the server that an earlier owner of this folder left running, and waits until it is gone.
    pub(crate) fn end_stale(&self) {
        if let Some(pid) = self.written_pid() {
            tracing::info!(
                server = self.name,
                pid,
                "ending what an earlier run left behind"
            );
            send(pid, self.stop);
            if !wait_until(STOP_LIMIT, || !is_ours(pid, &self.folder)) {
                send(pid, Signal::SIGKILL);
                wait_until(STOP_LIMIT, || !is_ours(pid, &self.folder));
            }
        }
        self.end_remnants();
        self.forget_pid();
    }

    /// The pid in the pid file, if that process is ours: its number may long be another's.
    fn written_pid(&self) -> Option<i32> {
        let text = fs::read_to_string(self.folder.join(PID_FILE)).ok()?;
        let pid = text.trim().parse().ok().filter(|pid| *pid > 1)?;
        is_ours(pid, &self.folder).then_some(pid)
    }

    pub(crate) fn forget_pid(&self) {
        // Left in place it would only be found not to be ours later.
        drop(fs::remove_file(self.folder.join(PID_FILE)));
    }

    /// Ends what a killed server left: `PostgreSQL`'s session processes see its death only at their next look, and it
    /// does not start beside them.
    pub(crate) fn end_remnants(&self) {
        let gone = wait_until(REMNANT_LIMIT, || {
            let remnants = self.remnants();
            for pid in &remnants {
                send(*pid, Signal::SIGKILL);
            }
            remnants.is_empty()
        });
        if !gone {
            tracing::warn!(
                server = self.name,
                "processes of a killed server are still there"
            );
        }
        if let Readiness::PidFile(file) = &self.readiness {
            // Absent, or stale: then a foreign process with its number would keep the server from starting.
            drop(fs::remove_file(file));
        }
    }

    /// Processes that execute the server's program inside its folder.
    fn remnants(&self) -> Vec<i32> {
        let Ok(processes) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == self.program)
                    && is_ours(*pid, &self.folder)
            })
            .collect()
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(self.folder.join(LOG_FILE)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // Enough for the cause, which the servers print last.
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// A program that works in `folder`, leaves its pid there, and does not start once the guardian of `data` has begun its work.
pub(crate) fn launcher(data: &Path, folder: &Path, program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", LAUNCHER])
        .arg(data.join(ENDED_FILE))
        .arg(program)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(folder)
        .stdin(Stdio::null())
        // Out of reach of Ctrl-C: the terminal signals the foreground group, and the owner decides what to stop.
        .process_group(0);
    command
}

/// Does the process work inside `folder`? A process that has ended, reaped or not, does not.
fn is_ours(pid: i32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
}

/// Sends a signal; a process that is gone already needs none.
pub(crate) fn send(pid: i32, signal: Signal) {
    if let Err(error) = kill(Pid::from_raw(pid), signal) {
        tracing::debug!(pid, %signal, %error, "signal not sent");
    }
}

pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > limit {
            return false;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_starts_after_the_guardian_began_its_work() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("server");
        fs::create_dir(&folder).unwrap();
        let spec = Spec {
            name: "touch",
            folder: folder.clone(),
            program: PathBuf::from("/usr/bin/touch"),
            arguments: vec!["started".into()],
            environment: Vec::new(),
            account: None,
            readiness: Readiness::Notifies,
            stop: Signal::SIGTERM,
        };
        fs::write(data.path().join(ENDED_FILE), "").unwrap();
        spec.launch(None).unwrap().wait().unwrap();
        assert!(!folder.join("started").exists());
        fs::remove_file(data.path().join(ENDED_FILE)).unwrap();
        spec.launch(None).unwrap().wait().unwrap();
        assert!(folder.join("started").exists());
    }

    #[test]
    fn foreign_process_is_not_taken_for_a_server() {
        // Ours lives, but works elsewhere.
        let own = std::process::id().cast_signed();
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_ours(own, folder.path()));
        assert!(is_ours(own, &std::env::current_dir().unwrap()));
    }
}
