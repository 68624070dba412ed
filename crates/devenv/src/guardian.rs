//! The guardian: a shell that outlives its owner just long enough to end the servers.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::DevEnvError;
use crate::files;

/// What the guardian runs: `$1` the data folder, `$2` `keep` or `temporary`.
const SCRIPT: &str = include_str!("guardian.sh");

/// The owner's hold on its guardian. Dropping it ends the servers, without waiting for that.
#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
}

impl Guardian {
    /// Starts the guardian of `folder`. It holds `lock` open, so that the folder stays locked until it is done.
    pub(crate) fn start(
        folder: &Path,
        keep: bool,
        lock: &std::fs::File,
    ) -> Result<Self, DevEnvError> {
        let held = lock
            .try_clone()
            .map_err(files::io("share the lock of", folder))?;
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "orderly-devenv-guardian"])
            .arg(folder)
            .arg(if keep { "keep" } else { "temporary" })
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(held)
            .stderr(Stdio::null())
            // Neither Ctrl-C nor the kill of the owner's group may reach it.
            .process_group(0)
            .spawn()
            .map_err(files::io("start the guardian of", folder))?;
        Ok(Self { child })
    }

    /// Lets the guardian do its work, and waits for it.
    pub(crate) fn finish(mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, "cannot wait for the guardian");
        }
    }
}
