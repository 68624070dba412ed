//! `cargo xtask dev`: from a fresh clone to a running system.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::{cargo, install};

/// Becomes `orderly dev`, so that Ctrl-C and the exit code are its own.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    install::for_dev()?;
    let mut command = cargo::cargo(&["run", "--release", "--package", "orderly-cli"]);
    command
        .args(["--bin", "orderly", "--", "dev"])
        .args(arguments);
    Err(command.exec()).context("cannot run cargo")
}
