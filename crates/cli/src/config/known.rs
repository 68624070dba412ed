//! Every setting there is: its name, what it may be, and what it is for. The only list; the help and the check of
//! orderly.toml are made of it.

use super::parse;
use crate::telemetry::{self, LogFormat};

/// A setting. ORDERLY_HTTP_ADDR in the environment is `http_addr` in orderly.toml and, where a command has it,
/// `--http-addr`.
#[derive(Debug)]
pub(crate) struct Known {
    /// The variable.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it is for, for the help.
    pub(crate) about: &'static str,
    /// Whether a value is one.
    pub(super) check: fn(&str) -> Result<(), String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// A string that nobody else may see; it may also come from a file that the setting `…_FILE` names.
    Secret,
    /// A whole number.
    Whole,
}

/// Where the file of settings is, unless `--config` says it. Not itself a setting of the file.
pub(crate) const CONFIG: &str = "ORDERLY_CONFIG";

/// In the order in which people meet them.
pub(crate) const KNOWN: [Known; 16] = [
    Known {
        name: "ORDERLY_URL",
        kind: Kind::Text,
        about: "where commands go",
        check: |text| parse::http_url(text).map(drop),
    },
    Known {
        name: "ORDERLY_DASHBOARD_URL",
        kind: Kind::Text,
        about: "where everything is read, if elsewhere",
        check: |text| parse::http_url(text).map(drop),
    },
    Known {
        name: "ORDERLY_API_KEY",
        kind: Kind::Secret,
        about: "API key of whoever calls",
        check: |text| parse::api_key(text).map(drop),
    },
    Known {
        name: "ORDERLY_DATABASE_URL",
        kind: Kind::Secret,
        about: "PostgreSQL",
        check: |text| parse::database_url(text).map(drop),
    },
    Known {
        name: "ORDERLY_AMQP_URL",
        kind: Kind::Secret,
        about: "RabbitMQ",
        check: |text| parse::amqp_url(text).map(drop),
    },
    Known {
        name: "ORDERLY_AMQP_NODES",
        kind: Kind::Secret,
        about: "every node of a RabbitMQ cluster, for workers",
        check: |text| parse::amqp_urls(text).map(drop),
    },
    Known {
        name: "ORDERLY_MANAGEMENT_URL",
        kind: Kind::Secret,
        about: "RabbitMQ's management API, for workers and doctor",
        check: |text| parse::management_url(text).map(drop),
    },
    Known {
        name: "ORDERLY_HTTP_ADDR",
        kind: Kind::Text,
        about: "address and port that a role listens on",
        check: |text| parse::socket_address(text).map(drop),
    },
    Known {
        name: "ORDERLY_SESSION_COOKIE_SECURE",
        kind: Kind::Text,
        about: "auto or always: when the page's cookie is for https alone",
        check: |text| parse::cookie_security(text).map(drop),
    },
    Known {
        name: "ORDERLY_SKIP_UNDECIDABLE",
        kind: Kind::Text,
        about: "command types that never park their order",
        check: |text| parse::skip_undecidable(text).map(drop),
    },
    Known {
        name: "ORDERLY_LOG",
        kind: Kind::Text,
        about: "what a role logs",
        check: |text| telemetry::log_filter(text).map(drop),
    },
    Known {
        name: "ORDERLY_LOG_FORMAT",
        kind: Kind::Text,
        about: "text or json",
        check: |text| LogFormat::parse(text).map(drop),
    },
    Known {
        name: "ORDERLY_DATA_DIR",
        kind: Kind::Text,
        about: "folder of `orderly dev`",
        check: |_| Ok(()),
    },
    Known {
        name: "ORDERLY_SANDBOX_DECLINE_PERCENT",
        kind: Kind::Whole,
        about: "payments that the sandbox declines",
        check: |text| parse::whole(0, parse::PERCENT)(text).map(drop),
    },
    Known {
        name: "ORDERLY_SANDBOX_REFUND_FAILURE_PERCENT",
        kind: Kind::Whole,
        about: "refunds that it fails",
        check: |text| parse::whole(0, parse::PERCENT)(text).map(drop),
    },
    Known {
        name: "ORDERLY_SANDBOX_DELAY_MS",
        kind: Kind::Whole,
        about: "how long it thinks",
        check: |text| parse::whole(0, parse::LONGEST_DELAY_MS)(text).map(drop),
    },
];

impl Known {
    /// The setting with this variable.
    pub(super) fn by_name(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name == name)
    }

    /// Its key in orderly.toml.
    pub(crate) fn key(&self) -> String {
        key_of(self.name)
    }
}

/// ORDERLY_HTTP_ADDR is the key `http_addr`.
pub(super) fn key_of(name: &str) -> String {
    name.trim_start_matches("ORDERLY_").to_lowercase()
}

/// ORDERLY_HTTP_ADDR is the flag `--http-addr`.
pub(super) fn flag_of(name: &str) -> String {
    format!("--{}", key_of(name).replace('_', "-"))
}

/// The settings as the long help shows them.
pub(crate) fn help() -> String {
    let lines = KNOWN.iter().map(|known| {
        let file = if known.kind == Kind::Secret {
            " (secret)"
        } else {
            ""
        };
        format!("  {:<40}{}{file}\n", known.name, known.about)
    });
    lines.collect()
}
