//! `cargo xtask test` and `cargo xtask check`: the order of the tools.

use std::time::Instant;

use anyhow::Result;

use crate::servers::Servers;
use crate::sqlx::{self, Recording};
use crate::{cargo, directions, install};

/// Runs the tests on one set of private servers for all.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    install::everything()?;
    run_tests(&Servers::start()?, arguments)
}

/// Runs everything that CI asks for. What needs no build comes first, the tests' own output last.
pub(crate) fn run() -> Result<()> {
    section("servers to test with", install::everything)?;
    section("format", || {
        cargo::run(&mut cargo::cargo(&["fmt", "--all", "--check"]))
    })?;
    section("crate directions", directions::check)?;
    let servers = section("private servers", Servers::start)?;
    section("clippy, and SQL data as the macros write it", || {
        // One pass for both: clippy expands the macros anyway.
        let mut clippy = cargo::cargo(&["clippy", "--workspace", "--all-targets"]);
        let recording = Recording::prepare(&servers, &mut clippy)?;
        cargo::run(clippy.args(["--", "--deny", "warnings"]))?;
        sqlx::compare(&recording.finish()?)
    })?;
    section("documentation", || {
        let mut doc = cargo::cargo(&["doc", "--workspace", "--no-deps"]);
        cargo::run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    // Without a line of ours after it: what is read last is what cargo says of the tests.
    eprintln!("== tests");
    run_tests(&servers, &[])
}

fn run_tests(servers: &Servers, arguments: &[String]) -> Result<()> {
    let (name, value) = servers.test_variable();
    let mut command = cargo::cargo(&["test"]);
    let chosen =
        |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
    if !arguments.iter().any(chosen) {
        command.arg("--workspace");
    }
    cargo::run(command.args(arguments).env(name, value))
}

/// Prints a header before a step, and how long it took after it.
fn section<T>(name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("== {name}");
    let begun = Instant::now();
    let result = step();
    let verdict = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!(
        "== {name}: {verdict} in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    result
}
