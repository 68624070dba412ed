//! `cargo xtask mutants`: breaks a copy of the product on purpose, one promise at a time, and sees that it is found out.
//!
//! One build has all faults of [`ALL`], each asleep until `MUTANT` names it. A mutant that nobody catches, or that no longer
//! fits the code, is a failure.

mod list;
mod tree;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::servers::Servers;
use crate::{cargo, install};
use list::{ALL, Catcher, Mutant};

/// Where a mutant finds out that it is one.
const VARIABLE: &str = "MUTANT";

/// Storms at once: they wait more than they work.
const AT_ONCE: usize = 3;

/// A crash at the one moment that matters takes some luck.
const TRIES: u32 = 4;

/// Runs them all, or those that are named.
pub(crate) fn run(names: &[String]) -> Result<()> {
    install::everything()?;
    if let Some(unknown) = names
        .iter()
        .find(|name| !ALL.iter().any(|it| it.name == **name))
    {
        bail!("there is no mutant {unknown}");
    }
    let is_wanted = |it: &&Mutant| names.is_empty() || names.iter().any(|name| *name == it.name);
    catch_all(&Servers::start()?, ALL.iter().filter(is_wanted).collect())
}

fn catch_all(servers: &Servers, wanted: VecDeque<&Mutant>) -> Result<()> {
    let root = tree::copy(ALL)?;
    let copy = Copy::build(root, servers)?;
    copy.right_is_right()?;
    let queue: Mutex<VecDeque<&Mutant>> = Mutex::new(wanted);
    let uncaught = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(mutant) = next(&queue) {
                    let began = Instant::now();
                    let by = copy.catch(mutant);
                    let seconds = began.elapsed().as_secs();
                    let by = by.unwrap_or_else(|error| Err(format!("{error:#}")));
                    let (verdict, by) = match &by {
                        Ok(by) => ("caught", by),
                        Err(why) => ("NOT CAUGHT", why),
                    };
                    eprintln!("{:<28}{verdict} after {seconds} s: {by}", mutant.name);
                    if verdict != "caught" {
                        let mut names = uncaught.lock().unwrap_or_else(PoisonError::into_inner);
                        names.push(mutant.name);
                    }
                }
            });
        }
    });
    let uncaught = uncaught
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if !uncaught.is_empty() {
        bail!("not caught: {}", uncaught.join(", "));
    }
    Ok(())
}

fn next<'a>(queue: &Mutex<VecDeque<&'a Mutant>>) -> Option<&'a Mutant> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.pop_front()
}

/// The broken copy, built.
struct Copy {
    root: PathBuf,
    program: PathBuf,
    test_variable: (String, String),
}

impl Copy {
    fn build(root: PathBuf, servers: &Servers) -> Result<Self> {
        // What comes from a registry is built already.
        let target = cargo::target_folder()?;
        let build = ["build", "--quiet", "--package", "orderly-cli"];
        cargo::run(copied(&root, &target).args(build))?;
        let (name, value) = servers.test_variable();
        Ok(Self {
            program: target.join("debug").join(tree::PROGRAM),
            root,
            test_variable: (name.to_owned(), value.to_owned()),
        })
    }

    /// A judge that finds fault with everything proves nothing.
    fn right_is_right(&self) -> Result<()> {
        let output = self.storm("", &["--faults", "kill-worker"], 1)?;
        let violated = violated(&output)?;
        if !violated.is_empty() {
            bail!("without a mutant, violated: {}", violated.join(", "));
        }
        Ok(())
    }

    /// What found it out; or why nothing did.
    fn catch(&self, mutant: &Mutant) -> Result<Result<String, String>> {
        match mutant.catcher {
            Catcher::Storm(arguments) => {
                for seed in 1..=TRIES {
                    let output = self.storm(mutant.name, arguments, seed)?;
                    let violated = violated(&output)?;
                    if !violated.is_empty() {
                        return Ok(Ok(format!(
                            "storm {}: {}",
                            arguments.join(" "),
                            violated.join(", ")
                        )));
                    }
                }
                Ok(Err(format!("{TRIES} storms found nothing")))
            }
            Catcher::Test { package, test } => {
                let target = cargo::target_folder()?;
                let (name, value) = &self.test_variable;
                let output = copied(&self.root, &target)
                    .args([
                        "test",
                        "--quiet",
                        "--package",
                        package,
                        "--test",
                        "it",
                        "--",
                        test,
                    ])
                    .env(name, value)
                    .env(VARIABLE, mutant.name)
                    .output()?;
                let said = String::from_utf8_lossy(&output.stdout);
                Ok(if said.contains("test result: FAILED") {
                    Ok(format!("test {test} of {package}"))
                } else {
                    Err(format!("test {test} of {package} did not fail: {said}"))
                })
            }
        }
    }

    fn storm(&self, mutant: &str, arguments: &[&str], seed: u32) -> Result<Output> {
        let storm = [
            "storm",
            "--private",
            "-o",
            "json",
            "--duration",
            "12s",
            "--seed",
        ];
        Command::new(&self.program)
            .args(storm)
            .arg(seed.to_string())
            .args(arguments)
            .env(VARIABLE, mutant)
            .stderr(Stdio::piped())
            .output()
            .context("run a storm")
    }
}

/// The invariants that a storm found violated.
fn violated(output: &Output) -> Result<Vec<String>> {
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("a storm ended without a report: {said}")
    })?;
    let verdicts = report["verdicts"]
        .as_array()
        .context("a report has no verdicts")?;
    let violated = verdicts.iter().filter(|it| it["violated"] != 0);
    Ok(violated
        .filter_map(|it| it["invariant"].as_str().map(str::to_owned))
        .collect())
}

/// Cargo in the copy, with the folder that everything else is built into.
fn copied(root: &Path, target: &Path) -> Command {
    let mut command = cargo::cargo(&[]);
    command
        .current_dir(root)
        .env("CARGO_TARGET_DIR", target)
        .env("SQLX_OFFLINE", "true");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_fits_the_code() {
        for mutant in ALL {
            for edit in mutant.edits {
                let text = std::fs::read_to_string(cargo::root().join(edit.file)).unwrap();
                assert!(edit.apply(&text).is_ok(), "{}: {}", mutant.name, edit.file);
            }
        }
    }
}
