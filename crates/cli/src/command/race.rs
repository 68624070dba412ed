//! `orderly race`: naive writes and Orderly under the same load. The race itself is crate checker's.
//!
//! Owns where it takes place: on the Orderly that the settings name, or on one that it starts for itself.

use std::time::Duration;

use anyhow::Context;
use orderly_checker::race::{self, Options, Report, Target};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::checking::{PlaceFlags, duration, end_of, is_set};
use crate::{
    config::{Settings, parse},
    dev::private::{Place, Private, until_signalled, with_private},
    exit::Exit,
    lifecycle::Signals,
    output::{self, Format},
};

/// Show what naive writes lose, beside the same load through Orderly
///
/// Many clients write on one busy order and buy the last pieces of products, three times: against tables that are read and
/// written back without care, against the same with row locks, and through Orderly. Then the data is compared with what the
/// clients were told. Nothing is delayed to make anything fail.
///
/// Takes place on the Orderly that the settings name, if they name one, and else on servers of its own, which are removed at
/// the end. The naive tables are in a schema of their own, which is dropped; the orders placed through Orderly stay in it.
///
/// Exits with 1 if Orderly lost, doubled or oversold anything.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly race                        beside `orderly dev`, or on servers of its own
  orderly race --clients 64 --duration 1m
  orderly race --private --seed 7 -o json")]
pub(crate) struct RaceArgs {
    /// How long it runs, as 20s or 2m: three tenths for each of the three ways
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    duration: Duration,
    /// Clients at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..=512))]
    clients: u16,
    /// Fixes what the clients want and what is sent twice [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    #[command(flatten)]
    place: PlaceFlags,
    /// The database that Orderly uses [env: ORDERLY_DATABASE_URL]
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Connection",
        conflicts_with = "private"
    )]
    database_url: Option<String>,
}

pub(crate) async fn run(args: RaceArgs, format: Format) -> anyhow::Result<Exit> {
    let options = Options {
        duration: args.duration,
        clients: args.clients.into(),
        seed: args
            .seed
            .unwrap_or_else(|| Uuid::new_v4().as_fields().0)
            .into(),
    };
    let say = |text: &str| eprintln!("{text}");
    let raced = if let Some(target) = named(&args)? {
        eprintln!("racing on the Orderly at {}", target.ingress_url);
        let mut signals = Signals::new()?;
        let token = CancellationToken::new();
        let racing = race::run(&target, &options, &token, &say);
        let signalled = async || {
            signals.next().await;
        };
        Box::pin(until_signalled(racing, &token, signalled)).await
    } else {
        let racing = async |place: Place<'_>, token: &CancellationToken| {
            let target = Target {
                ingress_url: place.url.clone(),
                dashboard_url: place.url,
                api_key: place.key,
                database_url: place.database_url,
            };
            race::run(&target, &options, token, &say).await
        };
        Box::pin(with_private(Private::default(), racing)).await
    };
    match raced {
        Ok(report) => finish(&report, format),
        Err(error) => end_of(error),
    }
}

fn finish(report: &Report, format: Format) -> anyhow::Result<Exit> {
    output::unless_closed(format.record(report, || report.screen()))?;
    Ok(if report.orderly_is_clean {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// The Orderly that the settings name, if they name any part of one.
fn named(args: &RaceArgs) -> anyhow::Result<Option<Target>> {
    let names_database = || is_set(args.database_url.as_ref(), "ORDERLY_DATABASE_URL");
    if !args.place.names_one() && (args.place.private || !names_database()) {
        return Ok(None);
    }
    let mut settings = Settings::for_command();
    let place = args.place.look_up(&mut settings);
    let database_url = settings.required(
        args.database_url.as_ref(),
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let target = settings.finish(|| {
        let place = place?;
        Some(Target {
            ingress_url: place.ingress_url,
            dashboard_url: place.dashboard_url,
            api_key: place.api_key,
            database_url: database_url?,
        })
    });
    target.map(Some).context(NAMED)
}

const NAMED: &str = "the settings name an Orderly, but not all that a race needs of it (--private races on servers of its own)";
