//! `orderly-bench`: what Orderly reaches, beside what people would use instead and what its parts can do by themselves.
//!
//! Owns the load, the contestants, the judge and the figures. Runs the release program as it is deployed, as real processes
//! on one private Postgres and RabbitMQ that all contestants of a run share. Must not be used by the product.

#![allow(
    clippy::print_stderr,
    reason = "progress is for the person who waits half an hour for it"
)]
#![allow(
    clippy::doc_markdown,
    reason = "doc comments of flags are help texts, which show backticks as they stand"
)]

mod args;
mod bench;
mod clock;
mod contestant;
mod db;
mod deployment;
mod environment;
mod history;
mod judge;
mod latency;
mod load;
mod ownership;
mod procfs;
mod program;
mod quiet;
mod random;
mod report;
mod rows;
mod sample;
mod scenario;
mod seed;
mod soak;
mod visible;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use args::{Args, Command, Form, Options};
use clap::Parser;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell shows of a program that a signal ended.
const ENDED_BY_SIGNAL: u8 = 128;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = tokio::runtime::Runtime::new()
        .context("start the runtime")
        .and_then(|runtime| runtime.block_on(run(args)));
    done.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(args: Args) -> Result<ExitCode> {
    let printed = |text: String| print(&text).map(|()| ExitCode::SUCCESS);
    match args.command {
        Some(Command::Direct(args)) => {
            contestant::direct::serve(args).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Ownership(args)) => {
            unless_signalled(async { printed(Box::pin(ownership::run(args)).await?) }).await
        }
        Some(Command::Soak(args)) => {
            unless_signalled(async { printed(Box::pin(soak::run(args)).await?) }).await
        }
        None => unless_signalled(measure(args.options.settled()?)).await,
    }
}

/// Dropping a run ends every process that it started.
async fn unless_signalled(run: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = run => done,
        _ = interrupt.recv() => Ok(ended_by(Signal::SIGINT)),
        _ = terminate.recv() => Ok(ended_by(Signal::SIGTERM)),
    }
}

async fn measure(options: Options) -> Result<ExitCode> {
    if options.list {
        let names: Vec<String> = options
            .scenarios()
            .iter()
            .map(ToString::to_string)
            .collect();
        return print(&names.join("\n")).map(|()| ExitCode::SUCCESS);
    }
    let (form, file) = (options.output, options.json.clone());
    let report = Box::pin(bench::run(options)).await?;
    if let Some(file) = file {
        let written = std::fs::write(&file, report.json()?);
        written.with_context(|| format!("write {}", file.display()))?;
    }
    match form {
        Form::Table => print(&report.table())?,
        Form::Json => print(&report.json()?)?,
    }
    Ok(if report.faults().next().is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("print the figures")
}

fn ended_by(signal: Signal) -> ExitCode {
    let number = u8::try_from(signal as i32).unwrap_or(0);
    ExitCode::from(ENDED_BY_SIGNAL + number)
}
