//! Private servers for one command, from crate devenv: its binary runs beside us until we close its input.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo;

/// Running servers. Dropped, or when we end in any way, they end.
pub(crate) struct Servers {
    child: Child,
    /// What the binary printed: `NAME=value`.
    variables: Vec<(String, String)>,
}

impl Servers {
    /// Builds the binary and starts the servers.
    pub(crate) fn start() -> Result<Self> {
        // With the features of the whole workspace, so that what is built here serves the tests too.
        cargo::run(&mut cargo::cargo(&[
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "devenv",
        ]))?;
        let mut child = Command::new(cargo::target_folder()?.join("debug/devenv"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the private servers")?;
        let printed = child.stdout.take().context("the output is not piped")?;
        let mut servers = Self {
            child,
            variables: Vec::new(),
        };
        let mut lines = BufReader::new(printed).lines();
        while servers.variables.len() < 3 {
            let Some(line) = lines.next().transpose()? else {
                bail!("the private servers did not start");
            };
            let pair = line
                .split_once('=')
                .context("unexpected output of devenv")?;
            servers
                .variables
                .push((pair.0.to_owned(), pair.1.to_owned()));
        }
        Ok(servers)
    }

    /// The data folder, in the form that crate devenv wants in the environment of a test.
    pub(crate) fn test_variable(&self) -> (&str, &str) {
        let (name, value) = &self.variables[0];
        (name, value)
    }

    /// The URL of an empty database.
    pub(crate) fn database_url(&self) -> &str {
        &self.variables[1].1
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("xtask: cannot wait for the private servers: {error}");
        }
    }
}
