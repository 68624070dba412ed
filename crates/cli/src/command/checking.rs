//! What `orderly race` and `orderly storm` have in common: which Orderly they take place on, for how long, and how they end.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use orderly_checker::Refused;
use url::Url;

use crate::{
    client::ClientFlags,
    config::{Settings, parse},
    exit::Exit,
    output,
};

/// The Orderly that the settings name, if they name one.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceFlags {
    /// Start servers of its own, whatever the settings name
    #[arg(long, conflicts_with_all = ["url", "dashboard_url", "api_key"])]
    pub(super) private: bool,
    /// Go ahead also with a key that is not of a development environment (ord_dev_…)
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    connection: ClientFlags,
}

/// What is needed of it.
pub(super) struct NamedPlace {
    pub(super) ingress_url: String,
    pub(super) dashboard_url: String,
    pub(super) api_key: String,
}

impl PlaceFlags {
    /// Whether the settings name any part of one, and servers of its own are not asked for.
    pub(super) fn names_one(&self) -> bool {
        let ClientFlags { url, api_key, .. } = &self.connection;
        let flags = [(url, "ORDERLY_URL"), (api_key, "ORDERLY_API_KEY")];
        !self.private && flags.iter().any(|(flag, name)| is_set(flag.as_ref(), name))
    }

    /// All parts of it; what is missing or wrong is told by `settings`.
    pub(super) fn look_up(&self, settings: &mut Settings) -> Option<NamedPlace> {
        let ClientFlags {
            url,
            dashboard_url,
            api_key,
        } = &self.connection;
        let url = settings.required(url.as_ref(), "ORDERLY_URL", plain_http_url);
        let dashboard = settings.optional(
            dashboard_url.as_ref(),
            "ORDERLY_DASHBOARD_URL",
            plain_http_url,
        );
        let key = settings.required(api_key.as_ref(), "ORDERLY_API_KEY", |text| {
            development_key(text, self.yes)
        });
        let url = url?;
        Some(NamedPlace {
            dashboard_url: dashboard.unwrap_or_else(|| url.clone()).into(),
            ingress_url: url.into(),
            api_key: key?,
        })
    }
}

/// Whether a setting is there, whatever it says.
pub(super) fn is_set(flag: Option<&String>, name: &'static str) -> bool {
    let anything = |text: &str| Ok(text.to_owned());
    Settings::for_command()
        .optional(flag, name, anything)
        .is_some()
}

/// Below this nothing has happened yet, above it what a storm saw may not fit into memory.
const DURATION_SECONDS: std::ops::RangeInclusive<u64> = 2..=3600;

/// The checker's clients have no TLS: they stand beside the listener, not behind a proxy.
fn plain_http_url(text: &str) -> Result<Url, String> {
    let url = parse::http_url(text)?;
    if url.scheme() == "https" {
        return Err(
            "is https, which the checker does not speak; name the listener itself".to_owned(),
        );
    }
    Ok(url)
}

/// What is placed in Orderly stays there: not into a system that matters, by a variable that was set for something else.
fn development_key(text: &str, any: bool) -> Result<String, String> {
    let key = parse::api_key(text)?;
    if any || key.starts_with("ord_dev_") {
        return Ok(key);
    }
    Err(
        "is not a development key (ord_dev_…), and what is placed stays; --yes goes ahead all the same"
            .to_owned(),
    )
}

/// An error whose kind another crate's errors do not tell ends with its own code.
pub(super) fn end_of(error: anyhow::Error) -> anyhow::Result<Exit> {
    match exit_of(&error) {
        Some(exit) => {
            output::complain(&error);
            Ok(exit)
        }
        None => Err(error),
    }
}

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
pub(super) fn duration(text: &str) -> Result<Duration, String> {
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
        for wrong in ["1s", "61m", "s", "-5s", "1h", ""] {
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
