//! `orderly race`: naive writes and Orderly under the same load. The race itself is crate checker's.
//!
//! Owns where it takes place: on the Orderly that the settings name, or on one that it starts for itself.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use anyhow::Context;
use orderly_checker::{
    Refused,
    race::{self, Options, Report, Target},
};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use crate::{
    config::{Settings, parse},
    dev::private::{until_signalled, with_private},
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
    /// Start servers of its own, whatever the settings name
    #[arg(long, conflicts_with_all = ["url", "dashboard_url", "api_key", "database_url"])]
    private: bool,
    /// Race also with a key that is not of a development environment (ord_dev_…)
    #[arg(long)]
    yes: bool,
    /// Base URL of the ingress [env: ORDERLY_URL]
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    url: Option<String>,
    /// Base URL of the dashboard, if another [env: ORDERLY_DASHBOARD_URL]
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    dashboard_url: Option<String>,
    /// API key; better given in the environment [env: ORDERLY_API_KEY, ORDERLY_API_KEY_FILE]
    #[arg(long, value_name = "KEY", help_heading = "Connection")]
    api_key: Option<String>,
    /// The database that Orderly uses [env: ORDERLY_DATABASE_URL]
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    database_url: Option<String>,
}

/// Below this no way gets a second, above it nobody watches.
const DURATION_SECONDS: std::ops::RangeInclusive<u64> = 2..=600;

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
    let raced = match named(&args)? {
        Some(target) => {
            eprintln!("racing on the Orderly at {}", target.ingress_url);
            let mut signals = Signals::new()?;
            let token = CancellationToken::new();
            let racing = race::run(&target, &options, &token, &say);
            Box::pin(until_signalled(racing, &token, async || {
                signals.next().await;
            }))
            .await
        }
        None => {
            Box::pin(with_private(async |place, token: &CancellationToken| {
                let target = Target {
                    ingress_url: place.url.clone(),
                    dashboard_url: place.url,
                    api_key: place.key,
                    database_url: place.database_url,
                };
                race::run(&target, &options, token, &say).await
            }))
            .await
        }
    };
    match raced {
        Ok(report) => finish(&report, format),
        Err(error) => match exit_of(&error) {
            Some(exit) => {
                output::complain(&error);
                Ok(exit)
            }
            None => Err(error),
        },
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
    let mut probe = Settings::for_command();
    let flags = [
        (&args.url, "ORDERLY_URL"),
        (&args.api_key, "ORDERLY_API_KEY"),
        (&args.database_url, "ORDERLY_DATABASE_URL"),
    ];
    let anything = |text: &str| Ok(text.to_owned());
    let set = flags.map(|(flag, name)| probe.optional(flag.as_ref(), name, anything).is_some());
    if args.private || set == [false; 3] {
        return Ok(None);
    }
    let mut settings = Settings::for_command();
    let url = settings.required(args.url.as_ref(), "ORDERLY_URL", plain_http_url);
    let dashboard = settings.optional(
        args.dashboard_url.as_ref(),
        "ORDERLY_DASHBOARD_URL",
        plain_http_url,
    );
    let key = settings.required(args.api_key.as_ref(), "ORDERLY_API_KEY", |text| {
        development_key(text, args.yes)
    });
    let database_url = settings.required(
        args.database_url.as_ref(),
        "ORDERLY_DATABASE_URL",
        parse::database_url,
    );
    let target = settings.finish(|| {
        let url = url?;
        Some(Target {
            dashboard_url: dashboard.unwrap_or_else(|| url.clone()).into(),
            ingress_url: url.into(),
            api_key: key?,
            database_url: database_url?,
        })
    });
    target.map(Some).context(NAMED)
}

const NAMED: &str = "the settings name an Orderly, but not all that a race needs of it (--private races on servers of its own)";

/// The clients of a race have no TLS: it takes place beside the listener, not through a proxy.
fn plain_http_url(text: &str) -> Result<Url, String> {
    let url = parse::http_url(text)?;
    if url.scheme() == "https" {
        return Err("is https, which a race does not speak; name the listener itself".to_owned());
    }
    Ok(url)
}

/// What is placed in Orderly stays there: not into a system that matters, by a variable that was set for something else.
fn development_key(text: &str, any: bool) -> Result<String, String> {
    let key = parse::api_key(text)?;
    if any || key.starts_with("ord_dev_") {
        return Ok(key);
    }
    Err("is not a development key (ord_dev_…), and the orders of a race stay where they were placed; \
         --yes races all the same"
        .to_owned())
}

/// The code of an error whose kind another crate's errors do not tell.
fn exit_of(error: &anyhow::Error) -> Option<Exit> {
    error.chain().find_map(|cause| {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return matches!(refused.status, 401 | 403).then_some(Exit::Authentication);
        }
        if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
            return (error.is_connect() || error.is_timeout()).then_some(Exit::Unavailable);
        }
        let io = cause.downcast_ref::<io::Error>()?;
        let away = [
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
            ErrorKind::TimedOut,
        ];
        away.contains(&io.kind()).then_some(Exit::Unavailable)
    })
}

/// `20s` or `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit_seconds) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        (None, None) => (text, 1),
    };
    let seconds = number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(unit_seconds));
    let (least, most) = (DURATION_SECONDS.start(), DURATION_SECONDS.end());
    seconds
        .filter(|seconds| DURATION_SECONDS.contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| {
            format!("a whole number of seconds or minutes, as 20s or 2m, from {least}s to {most}s")
        })
}

#[cfg(test)]
mod tests {
    use super::{Duration, development_key, duration};

    #[test]
    fn a_duration_has_a_unit_and_bounds() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("20"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for wrong in ["1s", "11m", "s", "-5s", "1h", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_of_a_live_system_is_refused_unless_that_is_meant() {
        let key = |env| orderly_protocol::api_key::generate(env).unwrap().token;
        assert!(development_key(&key("dev"), false).is_ok());
        assert!(development_key(&key("live"), false).is_err());
        assert!(development_key(&key("live"), true).is_ok());
        assert!(development_key("no key", true).is_err());
    }
}
