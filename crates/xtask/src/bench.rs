//! `cargo xtask bench`: the release program beside its yardsticks.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cargo, install};

/// Becomes the benchmark, so that Ctrl-C and the exit code are its own.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    install::for_dev()?;
    let packages = ["--package", "orderly-cli", "--package", "orderly-bench"];
    cargo::run(cargo::cargo(&["build", "--release"]).args(packages))?;
    let program = cargo::target_folder()?.join("release/orderly-bench");
    let failed = Command::new(&program).args(arguments).exec();
    Err(failed).with_context(|| format!("cannot run {}", program.display()))
}
