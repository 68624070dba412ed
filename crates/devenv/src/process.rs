//! One server as a process: started, found ready, signalled, ended. Knows nothing of what the server does.
//!
//! Everything here blocks; the public methods do it off the async threads, so that a handle works under any runtime
//! and outlives the one that started it.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::DevEnvError;
use crate::files;
use crate::place::Account;

/// The file in a server's folder that names its process.
pub(crate) const PID_FILE: &str = "pid";
/// The file in a server's folder that gets what it prints.
const LOG_FILE: &str = "log";
/// The file in the data folder by which the guardian says that no server may start any more.
pub(crate) const ENDED_FILE: &str = "ended";

/// `RabbitMQ` takes 5 s on an idle machine; beside a build on two cores it was seen to take 11 s.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// A server that was asked to stop takes about 1 s; past this it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// What is left of a killed server ends by itself within milliseconds.
const REMNANT_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at a condition that nothing announces: fine enough against starts of half a second and more.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Writes its pid, then becomes the server. It asks for the end mark *after* it wrote the pid, and the guardian sets
/// the mark *before* it reads pids: a server that starts while its owner dies is seen by one of the two.
const LAUNCHER: &str = r#"echo $$ >pid && [ ! -e "$0" ] && exec "$@""#;

/// How a server shows that it serves.
#[derive(Debug, Clone)]
pub(crate) enum Readiness {
    /// It writes `ready` into this file, as `PostgreSQL` does into `postmaster.pid`.
    PidFile(PathBuf),
    /// It sends `READY=1` to the socket in `NOTIFY_SOCKET` (the protocol of `sd_notify(3)`).
    Notifies,
    /// It answers on a port: what is sent, and what the answer begins with.
    Answers {
        port: u16,
        ask: String,
        answer: &'static str,
    },
}

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
        while !spec.is_ready(notices.as_ref()) {
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

impl Spec {
    /// A command that leaves its pid in the server's folder, for the guardian and for a later owner.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let data = self.folder.parent().unwrap_or(&self.folder);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LAUNCHER])
            .arg(data.join(ENDED_FILE))
            .arg(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            // Out of reach of Ctrl-C: the terminal signals the foreground group, and the owner decides what to stop.
            .process_group(0);
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    fn launch(&self, notices: Option<&Notices>) -> Result<Child, DevEnvError> {
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

    fn is_ready(&self, notices: Option<&Notices>) -> bool {
        match &self.readiness {
            // Its eighth line is the state; the file is written anew at each start and removed before it.
            Readiness::PidFile(file) => fs::read_to_string(file).is_ok_and(|text| {
                text.lines()
                    .nth(7)
                    .is_some_and(|state| state.trim() == "ready")
            }),
            Readiness::Notifies => notices.is_some_and(Notices::ready),
            Readiness::Answers { port, ask, answer } => {
                answers(*port, ask.as_bytes(), answer.as_bytes()).unwrap_or(false)
            }
        }
    }

    /// Ends the server that an earlier owner of this folder left running, and waits until it is gone.
    fn end_stale(&self) {
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

    fn forget_pid(&self) {
        // Left in place it would only be found not to be ours later.
        drop(fs::remove_file(self.folder.join(PID_FILE)));
    }

    /// Ends what a killed server left: `PostgreSQL`'s session processes see its death only at their next look, and it
    /// does not start beside them.
    fn end_remnants(&self) {
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

    fn log_tail(&self) -> String {
        let text = fs::read(self.folder.join(LOG_FILE)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // Enough for the cause, which the servers print last.
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Does the process work inside `folder`? A process that has ended, reaped or not, does not.
fn is_ours(pid: i32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
}

/// Sends a signal; a process that is gone already needs none.
fn send(pid: i32, signal: Signal) {
    if let Err(error) = kill(Pid::from_raw(pid), signal) {
        tracing::debug!(pid, %signal, %error, "signal not sent");
    }
}

fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > limit {
            return false;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    true
}

fn answers(port: u16, ask: &[u8], answer: &[u8]) -> std::io::Result<bool> {
    // The loopback answers at once or not at all.
    let limit = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(ask)?;
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got)?;
    Ok(got == answer)
}

/// The receiving end of `sd_notify(3)`, under an abstract name: no file, no path limit, nothing to remove.
struct Notices {
    name: String,
    socket: UnixDatagram,
}

impl Notices {
    fn listen() -> Result<Self, DevEnvError> {
        let name = format!("orderly-devenv-{}", crate::settings::random_hex()?);
        let path = Path::new("the notification socket");
        let address = SocketAddr::from_abstract_name(&name).map_err(files::io("name", path))?;
        let socket = UnixDatagram::bind_addr(&address).map_err(files::io("open", path))?;
        // The wait for a notice is the pace at which the server's life is looked at.
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .map_err(files::io("set up", path))?;
        Ok(Self { name, socket })
    }

    fn ready(&self) -> bool {
        let mut buffer = [0; 1024];
        let Ok(length) = self.socket.recv(&mut buffer) else {
            return false;
        };
        buffer[..length]
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"READY=1")
    }
}
