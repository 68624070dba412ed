//! `orderly`: every role and every operator command, as one program.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments of flags are help texts, which show backticks as they stand"
)]

mod args;
mod client;
mod command;
mod config;
mod database;
mod dev;
mod doctor;
mod exit;
mod import;
mod lifecycle;
mod operator;
mod output;
mod role;
mod telemetry;
mod verify;
mod watchdog;

use std::{process::ExitCode, time::Duration};

use args::{Args, Command};
use clap::Parser;
use exit::Exit;

/// Requests and batches are many small allocations of short life: an ingress spent 15 % less time on a request than with
/// the allocator of glibc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = start_runtime().and_then(|runtime| {
        let done = runtime.block_on(run(args));
        watchdog::end();
        runtime.shutdown_timeout(BLOCKING_LIMIT);
        done
    });
    let exit = done.unwrap_or_else(|error| {
        // `orderly … | head`: whoever read has read enough.
        if !output::is_broken_pipe(&error) {
            output::complain(&error);
        }
        Exit::of(&error)
    });
    exit.into()
}

/// What still blocks a thread at the end (a name being resolved, a file being read) has nobody to answer to.
const BLOCKING_LIMIT: Duration = Duration::from_secs(1);

async fn run(
    Args {
        output: format,
        config: file,
        command,
    }: Args,
) -> anyhow::Result<Exit> {
    config::name_file(file);
    match command {
        Command::Dev(args) => Box::pin(dev::run(args)).await,
        Command::Ingress(args) => role::ingress::run(args).await,
        Command::Worker(args) => role::worker::run(args).await,
        Command::Relay(args) => role::relay::run(args).await,
        Command::Payments(args) => role::payments::run(args).await,
        Command::Dashboard(args) => role::dashboard::run(args).await,
        Command::Migrate(args) => command::migrate::run(args).await,
        Command::Topology(args) => command::topology::run(args, format).await,
        Command::Shards(args) => command::shards::run(args, format).await,
        Command::Scaling(args) => command::scaling::run(args, format).await,
        Command::Pause(args) => command::shards::pause::pause(args, format).await,
        Command::Resume(args) => command::shards::pause::resume(args, format).await,
        Command::Keys(args) => command::keys::run(args, format).await,
        Command::Orders(args) => command::orders::run(args, format).await,
        Command::Commands(args) => command::commands::run(args, format).await,
        Command::Lanes(args) => Box::pin(command::lanes::run(args, format)).await,
        Command::Stock(args) => command::stock::run(args, format).await,
        Command::Events(args) => Box::pin(command::events::run(args, format)).await,
        Command::Dead(args) => command::dead::run(args, format).await,
        Command::Import(args) => import::run(args, format).await,
        Command::Audit(args) => Box::pin(command::audit::run(args, format)).await,
        Command::Verify(args) => verify::run(args, format).await,
        Command::Doctor(args) => Box::pin(doctor::run(args, format)).await,
        Command::Race(args) => command::race::run(args, format).await,
        Command::Storm(args) => command::storm::run(args, format).await,
        Command::Healthcheck(args) => command::healthcheck::run(args).await,
        Command::Completions(args) => command::completions::run(&args),
    }
}

fn start_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
