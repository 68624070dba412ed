//! `orderly verify`: replays every event from zero and compares what follows from them with what the tables say.
//!
//! Reads one snapshot, so it may run beside live traffic. Changes nothing; owns the walk and the account of it.

use std::{fmt::Display, io};

use anyhow::Context;
use orderly_store::Store;
use serde::Serialize;

mod history;
mod judge;
mod ledger;
mod pages;

use crate::{
    config::{Settings, parse},
    database,
    exit::Exit,
    output::{self, Format, Progress, thousands},
};
use history::Histories;
use ledger::Ledger;

/// Replay all events and compare with state, versions, stock and outcomes
///
/// Exits with 1 if anything differs.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly verify                      the database of `orderly dev` in this directory
  orderly verify --database-url postgres://orderly@db/orderly -o json")]
pub(crate) struct VerifyArgs {
    /// Database to check [env: ORDERLY_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// Something that does not follow from the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// The order, command or SKU.
    pub(crate) subject: String,
    pub(crate) what: String,
}

impl Difference {
    pub(crate) fn new(subject: &impl Display, what: impl Into<String>) -> Self {
        Self {
            subject: subject.to_string(),
            what: what.into(),
        }
    }
}

/// What was read, and what it adds up to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) orders: usize,
    pub(crate) events: usize,
    pub(crate) outcomes_applied: usize,
    pub(crate) outcomes_rejected: usize,
    pub(crate) outcomes_discarded: usize,
    pub(crate) stock_movements: usize,
    pub(crate) stock_writes: usize,
    pub(crate) skus: usize,
    pub(crate) captured_minor: i128,
    pub(crate) refunded_minor: i128,
    pub(crate) differences: usize,
}

#[derive(Debug, Serialize)]
struct Report {
    counts: Counts,
    differences: Vec<Difference>,
}

/// Differences kept for the report: a broken table would otherwise fill the memory. All are counted.
const KEPT_DIFFERENCES: usize = 10_000;

pub(crate) async fn run(args: VerifyArgs, format: Format) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_command();
    let url = settings.required(
        args.database_url.as_ref(),
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let store = database::open(&settings.finish(|| url)?, "orderly verify").await?;
    let report = verify(&store).await?;
    output::unless_closed(report.print(format))?;
    Ok(if report.differences.is_empty() {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

async fn verify(store: &Store) -> anyhow::Result<Report> {
    let mut report = Report {
        counts: Counts::default(),
        differences: Vec::new(),
    };
    let mut ledger = Ledger::default();
    let mut snapshot = store.snapshot().await.context("open a snapshot")?;
    let mut histories = Histories::default();
    let progress = Progress::counting("orders replayed");
    while let Some(history) = histories
        .next(&mut snapshot)
        .await
        .context("read the orders")?
    {
        history.count(&mut report.counts);
        history
            .movements
            .iter()
            .for_each(|movement| ledger.moved(&movement.movement));
        report.add(judge::differences(&history));
        progress.add(1);
    }
    let mut after = None;
    loop {
        let writes = snapshot
            .stock_writes(after)
            .await
            .context("read the stock writes")?;
        let Some(last) = writes.last() else { break };
        after = Some(last.write_id);
        report.counts.stock_writes += writes.len();
        for write in &writes {
            ledger.written(&write.sku, write.on_hand);
        }
    }
    let mut after = None;
    loop {
        let rows = snapshot
            .stock(after.as_ref())
            .await
            .context("read the stock")?;
        let Some(last) = rows.last() else { break };
        after = Some(last.sku.clone());
        report.counts.skus += rows.len();
        report.add(
            rows.iter()
                .filter_map(|row| ledger.compare(&row.sku, row.level))
                .collect(),
        );
    }
    report.add(ledger.without_stock());
    Ok(report)
}

impl Report {
    fn add(&mut self, differences: Vec<Difference>) {
        self.counts.differences += differences.len();
        let room = KEPT_DIFFERENCES.saturating_sub(self.differences.len());
        self.differences.extend(differences.into_iter().take(room));
    }

    fn print(&self, format: Format) -> io::Result<()> {
        format.record(self, || self.table())
    }

    fn table(&self) -> String {
        let counts = &self.counts;
        let row = |name: &str, count: usize| [name.to_owned(), thousands(count)];
        let table = output::table(
            ["checked", "count"],
            [
                row("orders", counts.orders),
                row("events, replayed from zero", counts.events),
                row("outcomes applied", counts.outcomes_applied),
                row("outcomes rejected", counts.outcomes_rejected),
                row("outcomes discarded", counts.outcomes_discarded),
                row("stock movements", counts.stock_movements),
                row("stock writes", counts.stock_writes),
                row("SKUs", counts.skus),
                [
                    "captured, minor units".to_owned(),
                    counts.captured_minor.to_string(),
                ],
                [
                    "refunded, minor units".to_owned(),
                    counts.refunded_minor.to_string(),
                ],
            ],
        );
        let verdict = match counts.differences {
            0 => output::green(
                "No difference: state, versions, money, stock and outcomes follow from the events.",
            ),
            number => output::red(&format!("{} differences", thousands(number))),
        };
        let differences: Vec<String> = self
            .differences
            .iter()
            .map(|found| format!("{}: {}\n", found.subject, found.what))
            .collect();
        format!("{}{table}\n{verdict}", differences.concat())
    }
}
