//! `orderly import retail`: replays a shop's file of invoices through the HTTP API.
//!
//! Owns the command; the plan comes from the file alone, the journeys speak to the server, the tally tells the end.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

mod command;
mod journey;
mod plan;
mod price;
mod report;
mod retail;
mod run;
mod seed;
mod tally;
mod watch;

use crate::{
    client::ClientFlags,
    exit::Exit,
    lifecycle::Signals,
    output::{self, Format, thousands},
};
use plan::Plan;
use run::Speed;

pub(crate) use retail::RetailError;
pub(crate) use seed::seed_stock;

/// Replay a file of real orders
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly import retail online-retail-2010-12.csv --seed-stock 100"
)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, clap::Subcommand)]
enum Source {
    Retail(RetailArgs),
}

/// Replay invoices in the form of the UCI "Online Retail" data set
///
/// Every invoice becomes an order that is placed, paid, shipped and delivered; every invoice that begins with C becomes
/// returns to the customer's earlier orders. What is sent follows from the file alone, under keys of its own, so a second
/// run changes nothing and an interrupted one is finished by running it again.
///
/// Exits with 3 if it ended before the outcome of every command was known.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly import retail online-retail-2010-12.csv --seed-stock 100
  orderly import retail online-retail-2010-12.csv --speed 50 -o json")]
struct RetailArgs {
    /// The file: InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country
    file: PathBuf,
    /// Invoices begun per second, or max
    #[arg(long, value_name = "N|max", default_value = "max")]
    speed: Speed,
    /// First add this share of the whole demand to the stock of every SKU, once
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    seed_stock: Option<u32>,
    /// Orders under way at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    concurrency: u16,
    #[command(flatten)]
    connection: ClientFlags,
}

pub(crate) async fn run(args: ImportArgs, format: Format) -> anyhow::Result<Exit> {
    let Source::Retail(args) = args.source;
    let client = args.connection.client()?;
    let plan = Plan::of(&retail::read_file(&args.file)?);
    eprintln!(
        "{} lines: {} orders, {} returns, {} lines skipped",
        thousands(plan.file_lines),
        thousands(plan.orders.len()),
        thousands(plan.returns().count()),
        thousands(plan.skipped.values().sum()),
    );
    let token = stopped_by_signal()?;
    if let Some(percent) = args.seed_stock {
        seed::run(&client, &plan, percent, &token).await?;
    }
    let report = run::run(&client, &plan, args.speed, args.concurrency.into(), &token).await?;
    output::unless_closed(format.record(&report, || report.table()))?;
    Ok(report.exit())
}

/// Cancelled by the first signal: commands under way end, the rest is left to the next run. The second one ends the
/// process: by then the keys have made that safe too.
fn stopped_by_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let stop = token.clone();
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        eprintln!("stopping; a second signal ends it at once");
        stop.cancel();
        signals.next().await;
        std::process::exit(Exit::Partly as i32);
    });
    Ok(token)
}
