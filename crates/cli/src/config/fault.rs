//! What is wrong with the settings, and where each value came from. No message repeats a value: it may be a secret.

use std::fmt;

use super::known::{flag_of, key_of};

/// Everything wrong with the settings, one per line.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub(crate) struct ConfigFaults(pub(super) Vec<ConfigFault>);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConfigFault {
    /// The variable of the setting, or the key that is none; empty for a fault of a whole file.
    pub(super) name: String,
    pub(super) origin: Option<Origin>,
    pub(super) problem: String,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Flag,
    Environment,
    /// A line of orderly.toml.
    Toml {
        path: String,
        line: usize,
    },
    /// A file that holds nothing else, or the one that `orderly dev` wrote.
    File(String),
}

fn list(faults: &[ConfigFault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            origin,
            problem,
        } = self;
        match origin {
            None => write!(f, "{name} {problem} (give it, or {})", flag_of(name)),
            Some(Origin::Flag) => write!(f, "{} {problem}", flag_of(name)),
            Some(Origin::Environment) => write!(f, "{name} {problem}"),
            Some(Origin::Toml { path, line }) if name.is_empty() => {
                write!(f, "{path}, line {line}: {problem}")
            }
            Some(Origin::Toml { path, line }) => {
                write!(f, "{path}, line {line}: {} {problem}", key_of(name))
            }
            Some(Origin::File(path)) if name.is_empty() => write!(f, "{path} {problem}"),
            Some(Origin::File(path)) => write!(f, "{name} (from {path}) {problem}"),
        }
    }
}
