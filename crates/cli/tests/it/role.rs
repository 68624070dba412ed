//! One role as a process of its own: started on a free port, heard, signalled, killed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use orderly_devenv::TestEnv;
use reqwest::Client;
use serde_json::Value;

use crate::system::{LIMIT, orderly, until};

/// One role, running.
pub(crate) struct Role {
    name: &'static str,
    child: Child,
    pub(crate) url: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Role {
    /// Starts it on a free port, and returns once it listens.
    pub(crate) fn start(env: &TestEnv, name: &'static str) -> Self {
        Self::start_at(env, name, "127.0.0.1:0")
    }

    /// The same, with more arguments.
    pub(crate) fn start_with(env: &TestEnv, name: &'static str, more: &[&str]) -> Self {
        let args = [&[name, "--http-addr", "127.0.0.1:0"], more].concat();
        Self::spawn(name, orderly(env, &args))
    }

    /// The same, on a given address.
    pub(crate) fn start_at(env: &TestEnv, name: &'static str, address: &str) -> Self {
        Self::start_armed(env, name, address, "")
    }

    /// The same, with crash points as `CRASH_POINTS` names them.
    pub(crate) fn start_armed(
        env: &TestEnv,
        name: &'static str,
        address: &str,
        crash_points: &str,
    ) -> Self {
        let mut command = orderly(env, &[name, "--http-addr", address]);
        if !crash_points.is_empty() {
            command.env("CRASH_POINTS", crash_points);
        }
        Self::spawn(name, command)
    }

    fn spawn(name: &'static str, mut command: Command) -> Self {
        command.args(["--log-format", "json"]);
        if name == "worker" {
            // The broker of a test is not killed while a resize is young, which is what new queues settle for.
            command.args(["--settle-seconds", "0"]);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (listening, heard) = mpsc::channel();
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let entry: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = entry["address"].as_str() {
                    // The test may have ended.
                    listening.send(format!("http://{address}")).ok();
                }
                kept.lock().unwrap().push(line);
            }
        });
        let url = heard.recv_timeout(LIMIT).unwrap_or_else(|_| {
            panic!("{name} does not listen: {:#?}", log.lock().unwrap());
        });
        Self {
            name,
            child,
            url,
            log,
        }
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self, http: &Client) {
        let url = format!("{}/readyz", self.url);
        let ready = async || {
            http.get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
        };
        until(&format!("{} is ready", self.name), ready).await;
    }

    /// Whether a line of its log says so.
    pub(crate) fn says(&self, words: &str) -> bool {
        let log = self.log.lock().unwrap();
        log.iter().any(|line| line.contains(words))
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < until,
                "{} did not end: {:#?}",
                self.name,
                self.log.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!(
                "--- {} ---\n{}",
                self.name,
                self.log.lock().unwrap().join("\n")
            );
        }
    }
}
