//! Settings: flags over environment (`NAME` or, for secrets, `NAME_FILE`) over DATA_DIR/env over defaults.
//!
//! Owns where a value comes from and collects every fault before anything is connected. Never prints a value: it may be a
//! secret.

use std::{collections::HashMap, fmt, path::Path};

pub(crate) mod parse;

/// Directory that `orderly dev` keeps its file of settings in, unless ORDERLY_DATA_DIR names another.
pub(crate) const DATA_DIR: &str = ".orderly";

/// Everything wrong with the settings, one per line.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub(crate) struct ConfigFaults(Vec<ConfigFault>);

#[derive(Debug, PartialEq, Eq)]
struct ConfigFault {
    name: &'static str,
    origin: Option<Origin>,
    problem: String,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Flag,
    Environment,
    File(String),
}

/// Looks settings up and remembers what is wrong with them.
pub(crate) struct Settings {
    environment: HashMap<String, String>,
    dev_file: HashMap<String, String>,
    dev_path: String,
    faults: Vec<ConfigFault>,
}

impl Settings {
    /// For roles: the environment alone. A file of `orderly dev` that happens to lie about must not start a role on its
    /// servers.
    pub(crate) fn for_role() -> Self {
        Self::new(std::env::vars().collect(), String::new(), HashMap::new())
    }

    /// For every other command: also the file that `orderly dev` wrote.
    pub(crate) fn for_command() -> Self {
        let environment: HashMap<String, String> = std::env::vars().collect();
        let directory = environment
            .get("ORDERLY_DATA_DIR")
            .map_or(DATA_DIR, String::as_str);
        let path = Path::new(directory).join("env");
        let dev_file = std::fs::read_to_string(&path)
            .map(|text| shell_lines(&text))
            .unwrap_or_default();
        Self::new(environment, path.display().to_string(), dev_file)
    }

    fn new(
        environment: HashMap<String, String>,
        dev_path: String,
        dev_file: HashMap<String, String>,
    ) -> Self {
        Self {
            environment,
            dev_file,
            dev_path,
            faults: Vec::new(),
        }
    }

    /// A value that must be given somewhere.
    pub(crate) fn required<T>(
        &mut self,
        flag: Option<&String>,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let faults_before = self.faults.len();
        let value = self.optional(flag, name, parse);
        if value.is_none() && self.faults.len() == faults_before {
            self.fault(name, None, "is not set".to_owned());
        }
        value
    }

    /// A value that has a default.
    pub(crate) fn or_default<T>(
        &mut self,
        flag: Option<&String>,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let faults_before = self.faults.len();
        let value = self.optional(flag, name, parse);
        value.or_else(|| (self.faults.len() == faults_before).then_some(default))
    }

    /// A value that may be absent. `None` also stands for a faulty one; `finish` tells.
    pub(crate) fn optional<T>(
        &mut self,
        flag: Option<&String>,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, origin) = self.find(flag, name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.fault(name, Some(origin), problem);
                None
            }
        }
    }

    /// The settings, if nothing was wrong with any of them. `build` gives `None` only if a value is missing, and a
    /// missing value is a fault.
    pub(crate) fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, ConfigFaults> {
        if !self.faults.is_empty() {
            return Err(ConfigFaults(self.faults));
        }
        Ok(build().expect("every missing setting is a fault"))
    }

    fn find(&mut self, flag: Option<&String>, name: &'static str) -> Option<(String, Origin)> {
        if let Some(flag) = flag {
            return Some((flag.clone(), Origin::Flag));
        }
        // Empty means "not set": compose files and CI systems pass unset variables on as empty ones.
        let set = |map: &HashMap<String, String>, name: &str| {
            map.get(name).filter(|text| !text.is_empty()).cloned()
        };
        let direct = set(&self.environment, name);
        let file = set(&self.environment, &format!("{name}_FILE"));
        match (direct, file) {
            (Some(_), Some(_)) => {
                self.fault(
                    name,
                    Some(Origin::Environment),
                    format!("is set beside {name}_FILE; set one of them"),
                );
                None
            }
            (Some(text), None) => Some((text, Origin::Environment)),
            (None, Some(path)) => self.read_secret(name, path),
            (None, None) => {
                set(&self.dev_file, name).map(|text| (text, Origin::File(self.dev_path.clone())))
            }
        }
    }

    fn read_secret(&mut self, name: &'static str, path: String) -> Option<(String, Origin)> {
        match std::fs::read_to_string(&path) {
            Ok(text) => Some((text.trim_end().to_owned(), Origin::File(path))),
            Err(error) => {
                self.fault(
                    name,
                    Some(Origin::File(path)),
                    format!("cannot be read: {error}"),
                );
                None
            }
        }
    }

    fn fault(&mut self, name: &'static str, origin: Option<Origin>, problem: String) {
        self.faults.push(ConfigFault {
            name,
            origin,
            problem,
        });
    }
}

/// The flag that stands for a variable: ORDERLY_HTTP_ADDR is `--http-addr`.
fn flag_of(name: &str) -> String {
    format!(
        "--{}",
        name.trim_start_matches("ORDERLY_")
            .to_lowercase()
            .replace('_', "-")
    )
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
            Some(Origin::File(path)) => write!(f, "{name} (from {path}) {problem}"),
        }
    }
}

/// `NAME=value` and `export NAME='value'` lines; anything else is left out.
fn shell_lines(text: &str) -> HashMap<String, String> {
    let unquoted = |value: &str| {
        value
            .trim()
            .trim_matches(|c| c == '\'' || c == '"')
            .to_owned()
    };
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches("export ").split_once('='))
        .filter(|(name, _)| name.starts_with("ORDERLY_"))
        .map(|(name, value)| (name.to_owned(), unquoted(value)))
        .collect()
}

#[cfg(test)]
mod tests;
