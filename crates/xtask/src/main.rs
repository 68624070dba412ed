//! `cargo xtask`: one door for people who work on the project.
//!
//! Owns: what has to be installed, in which order the tools run, and the rules that no tool checks. Must not depend on
//! the other crates: it is built first, and it runs them.

mod bench;
mod cargo;
mod check;
mod dev;
mod directions;
mod install;
mod mutants;
mod servers;
mod sqlx;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  dev [ARGUMENTS]   install what is missing, build in release, run `orderly dev ARGUMENTS`
  test [ARGUMENTS]  install what is missing, run `cargo test ARGUMENTS` on private servers
  bench [ARGUMENTS] install what is missing, build in release, measure (`bench --help` says what)
  mutants [NAME…]   break a copy of the product on purpose, and see that it is found out
  check             everything that CI asks for: fmt, directions, clippy, SQL data, docs, tests
  sqlx [--check]    make the offline data of the SQL macros (.sqlx) anew, or say whether it is fresh
  directions        say whether the crates depend on each other as they should
  install           install what is missing";

/// The exit code for a person who has to do something first.
const TO_DO: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            match error.downcast_ref::<install::NotInstalled>() {
                Some(_) => ExitCode::from(TO_DO),
                None => ExitCode::FAILURE,
            }
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return Ok(ExitCode::from(TO_DO));
    };
    match (command.as_str(), rest) {
        ("dev", rest) => dev::run(rest)?,
        ("bench", rest) => bench::run(rest)?,
        ("test", rest) => check::test(rest)?,
        ("mutants", rest) => mutants::run(rest)?,
        ("check", []) => check::run()?,
        ("sqlx", []) => sqlx::write()?,
        ("sqlx", [flag]) if flag == "--check" => sqlx::check()?,
        ("directions", []) => directions::check()?,
        ("install", []) => install::everything()?,
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(TO_DO));
        }
    }
    Ok(ExitCode::SUCCESS)
}
