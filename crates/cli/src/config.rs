//! Settings: flags over the environment (`NAME`, or `NAME_FILE` for one that names a file) over orderly.toml over the file
//! of `orderly dev` over defaults.
//!
//! Owns where a value comes from and collects every fault before anything is connected. The file of `orderly dev` comes
//! after orderly.toml: a person wrote the one and a program left the other behind. Roles do not read it at all, and
//! `orderly dev` takes the servers it runs on from flags alone: what is set for other commands must not move it onto a
//! database that matters.

use std::{collections::HashMap, path::Path, sync::OnceLock};

mod fault;
pub(crate) mod known;
pub(crate) mod parse;
mod toml_file;

pub(crate) use fault::ConfigFaults;
use fault::{ConfigFault, Origin};
use known::{CONFIG, Known};
use toml_file::TomlFile;

/// Directory that `orderly dev` keeps its file of settings in, unless ORDERLY_DATA_DIR names another.
pub(crate) const DATA_DIR: &str = ".orderly";

/// `--config`, which stands for the whole process.
static NAMED_FILE: OnceLock<String> = OnceLock::new();

/// Names the file of settings, before any setting is looked up.
pub(crate) fn name_file(path: Option<String>) {
    if let Some(path) = path {
        NAMED_FILE.get_or_init(|| path);
    }
}

/// Looks settings up and remembers what is wrong with them.
pub(crate) struct Settings {
    environment: HashMap<String, String>,
    toml: TomlFile,
    dev_file: HashMap<String, String>,
    dev_path: String,
    faults: Vec<ConfigFault>,
}

impl Settings {
    /// For roles: a file of `orderly dev` that happens to lie about must not start a role on its servers.
    pub(crate) fn for_role() -> Self {
        let environment: HashMap<String, String> = std::env::vars().collect();
        let toml = toml_file(&environment);
        Self::new(environment, toml, String::new(), HashMap::new())
    }

    /// For every other command: also the file that `orderly dev` wrote.
    pub(crate) fn for_command() -> Self {
        let mut settings = Self::for_role();
        let directory = settings.find(None, "ORDERLY_DATA_DIR");
        let directory = directory.map_or_else(|| DATA_DIR.to_owned(), |(text, _)| text);
        let path = Path::new(&directory).join("env");
        settings.dev_path = path.display().to_string();
        settings.dev_file = std::fs::read_to_string(&path)
            .map(|text| shell_lines(&text))
            .unwrap_or_default();
        settings
    }

    /// For one setting, whatever else may be wrong: orderly.toml is read only if nothing before it says the value.
    pub(crate) fn for_one<T>(
        flag: Option<&String>,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigFaults> {
        let environment: HashMap<String, String> = std::env::vars().collect();
        let said = flag.is_some() || set(&environment, name).is_some();
        let mut toml = if said {
            TomlFile::default()
        } else {
            toml_file(&environment)
        };
        toml.faults
            .retain(|fault| fault.name.is_empty() || fault.name == name);
        let mut settings = Self::new(environment, toml, String::new(), HashMap::new());
        let value = settings.optional(flag, name, parse);
        settings.finish(|| Some(value))
    }

    fn new(
        environment: HashMap<String, String>,
        mut toml: TomlFile,
        dev_path: String,
        dev_file: HashMap<String, String>,
    ) -> Self {
        Self {
            environment,
            faults: std::mem::take(&mut toml.faults),
            toml,
            dev_file,
            dev_path,
        }
    }

    /// A value that must be given somewhere.
    pub(crate) fn required<T>(
        &mut self,
        flag: Option<&String>,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.optional(flag, name, parse);
        if value.is_none() && !self.is_faulty(name) {
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
        let value = self.optional(flag, name, parse);
        value.or_else(|| (!self.is_faulty(name)).then_some(default))
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

    /// Whether something is wrong with this setting already: it is not missing then.
    fn is_faulty(&self, name: &str) -> bool {
        let file = format!("{name}_FILE");
        self.faults
            .iter()
            .any(|fault| fault.name == name || fault.name == file)
    }

    fn find(&mut self, flag: Option<&String>, name: &'static str) -> Option<(String, Origin)> {
        debug_assert!(Known::by_name(name).is_some(), "{name} is not in the list");
        if let Some(flag) = flag {
            return Some((flag.clone(), Origin::Flag));
        }
        let file = format!("{name}_FILE");
        let from_environment = |name: &str| {
            set(&self.environment, name).map(|text| (text.clone(), Origin::Environment))
        };
        let environment = (from_environment(name), from_environment(&file));
        let toml = (self.toml.get(name), self.toml.get(&file));
        for pair in [environment, toml] {
            match pair {
                (Some((_, origin)), Some(_)) => {
                    let problem = format!("is set beside {name}_FILE; set one of them");
                    self.fault(name, Some(origin), problem);
                    return None;
                }
                (Some(found), None) => return Some(found),
                (None, Some((path, _))) => return self.read_secret(name, path),
                (None, None) => {}
            }
        }
        let text = set(&self.dev_file, name)?;
        Some((text.clone(), Origin::File(self.dev_path.clone())))
    }

    fn read_secret(&mut self, name: &'static str, path: String) -> Option<(String, Origin)> {
        match std::fs::read_to_string(&path) {
            Ok(text) => Some((text.trim_end().to_owned(), Origin::File(path))),
            Err(error) => {
                let problem = format!("cannot be read: {error}");
                self.fault(name, Some(Origin::File(path)), problem);
                None
            }
        }
    }

    fn fault(&mut self, name: &str, origin: Option<Origin>, problem: String) {
        self.faults.push(ConfigFault {
            name: name.to_owned(),
            origin,
            problem,
        });
    }
}

/// A variable that is set. Empty means "not set": compose files and CI systems pass unset variables on as empty ones.
fn set<'a>(variables: &'a HashMap<String, String>, name: &str) -> Option<&'a String> {
    variables.get(name).filter(|text| !text.is_empty())
}

fn toml_file(environment: &HashMap<String, String>) -> TomlFile {
    let named = NAMED_FILE.get().or_else(|| set(environment, CONFIG));
    TomlFile::load(named.map(String::as_str))
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
