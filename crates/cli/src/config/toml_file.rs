//! orderly.toml: flat keys, each the name of a variable without its prefix, in lower case. Owns the reading and the check
//! of the whole file: a faulty setting that this command does not need is still told, or the next command would fail.
//!
//! A file that others can read may not hold a secret: like ssh with a key, it is refused rather than warned of, since
//! nobody reads a warning of a service that starts. Whoever keeps the file open to read names a file of the secret instead
//! (`api_key_file = "…"`).

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    io::{self, Read},
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use toml::de::{DeTable, DeValue};

use super::{
    fault::{ConfigFault, Origin},
    known::{KNOWN, Kind, Known, key_of},
};

/// Where it is looked for unless somebody says where it is.
pub(super) const DEFAULT_PATH: &str = "orderly.toml";
/// A dozen short lines; a far larger file is not this one.
const LONGEST_BYTES: u64 = 1 << 20;
/// Likeness (Jaro) from which on a key is taken for another one, mistyped; clap takes its flags by the same.
const LIKENESS: f64 = 0.8;
/// Others may read.
const READABLE_BY_OTHERS: u32 = 0o004;

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct TomlFile {
    /// By variable, `…_FILE` too.
    values: HashMap<String, (String, Origin)>,
    /// Faults of the whole file.
    pub(super) faults: Vec<ConfigFault>,
}

impl TomlFile {
    /// Reads the file that was named, or the one that may lie here.
    pub(super) fn load(named: Option<&str>) -> Self {
        let path = named.unwrap_or(DEFAULT_PATH);
        match read(path) {
            Ok((text, metadata)) => Self::parse(path, &text, &metadata),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Self::default()
            }
            Err(error) => Self {
                values: HashMap::new(),
                faults: vec![ConfigFault {
                    name: String::new(),
                    origin: Some(Origin::File(path.to_owned())),
                    problem: format!("cannot be read: {error}"),
                }],
            },
        }
    }

    /// The value of a variable and where it stands.
    pub(super) fn get(&self, name: &str) -> Option<(String, Origin)> {
        self.values.get(name).cloned()
    }

    fn parse(path: &str, text: &str, metadata: &Metadata) -> Self {
        let mut file = Self::default();
        let line = |span: Range<usize>| {
            let before = text.get(..span.start).unwrap_or(text);
            before.matches('\n').count() + 1
        };
        let origin = |span| Origin::Toml {
            path: path.to_owned(),
            line: line(span),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or_default();
            // The message alone: the parser's full text shows the line, and in it perhaps a secret.
            let problem = format!("is not TOML: {}", error.message());
            file.fault("", origin(span), problem);
        }
        let open = metadata.permissions().mode() & READABLE_BY_OTHERS != 0;
        for (key, value) in table.get_ref() {
            let at = origin(key.span());
            let key = key.get_ref();
            if let Some(entry) = Entry::of(key) {
                file.add(entry, value.get_ref(), at, path, open);
            } else {
                let problem = format!("is not a setting{}", meant(key));
                file.fault(&variable(key), at, problem);
            }
        }
        // The parser sorts keys by name; people read from the top.
        file.faults.sort_by_key(|fault| match fault.origin {
            Some(Origin::Toml { line, .. }) => line,
            _ => 0,
        });
        file
    }

    fn add(&mut self, entry: Entry, value: &DeValue<'_>, at: Origin, path: &str, open: bool) {
        let name = entry.variable();
        let read = match entry {
            Entry::Value(known) => value_of(known, value),
            Entry::FileOf(_) => text_of(value).map(|file| beside(path, file)),
        };
        let read = read.and_then(|text| match entry {
            Entry::Value(known) => {
                (known.check)(&text)?;
                if open && is_secret(known, &text) {
                    let key = known.key();
                    return Err(format!(
                        "holds a secret in a file that everybody on this machine can read; \
                         chmod 600 {path}, or name a file of it with {key}_file"
                    ));
                }
                Ok(text)
            }
            Entry::FileOf(_) => Ok(text),
        });
        match read {
            Ok(text) => {
                self.values.insert(name, (text, at));
            }
            Err(problem) => self.fault(&name, at, problem),
        }
    }

    fn fault(&mut self, name: &str, origin: Origin, problem: String) {
        self.faults.push(ConfigFault {
            name: name.to_owned(),
            origin: Some(origin),
            problem,
        });
    }
}

/// What a key stands for.
#[derive(Clone, Copy)]
enum Entry {
    Value(&'static Known),
    /// The file that holds the secret.
    FileOf(&'static Known),
}

impl Entry {
    fn of(key: &str) -> Option<Self> {
        let is = |known: &&Known, key: &str| known.key() == key;
        if let Some(known) = KNOWN.iter().find(|known| is(known, key)) {
            return Some(Self::Value(known));
        }
        let key = key.strip_suffix("_file")?;
        KNOWN
            .iter()
            .find(|known| is(known, key) && known.kind == Kind::Secret)
            .map(Self::FileOf)
    }

    fn variable(self) -> String {
        match self {
            Self::Value(known) => known.name.to_owned(),
            Self::FileOf(known) => format!("{}_FILE", known.name),
        }
    }
}

fn read(path: &str) -> io::Result<(String, Metadata)> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    let mut text = String::new();
    file.take(LONGEST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok((text, metadata))
}

fn value_of(known: &Known, value: &DeValue<'_>) -> Result<String, String> {
    match (known.kind, value) {
        (Kind::Whole, DeValue::Integer(number)) if number.radix() == 10 => {
            // TOML allows 60_000.
            Ok(number.as_str().replace('_', ""))
        }
        (Kind::Whole, _) => Err("is not a whole number, such as 5".to_owned()),
        (Kind::Text | Kind::Secret, value) => text_of(value),
    }
}

fn text_of(value: &DeValue<'_>) -> Result<String, String> {
    match value.as_str() {
        Some("") => Err("is empty; leave the line out".to_owned()),
        Some(text) => Ok(text.to_owned()),
        None => Err("is not a text in quotes".to_owned()),
    }
}

/// A URL of a server is one only if it has a password.
fn is_secret(known: &Known, text: &str) -> bool {
    let without_password = url::Url::parse(text).is_ok_and(|url| {
        let mut parameters = url.query_pairs();
        url.password().is_none() && !parameters.any(|(name, _)| name.contains("password"))
    });
    known.kind == Kind::Secret && !without_password
}

/// A path in the file is meant from where the file lies.
fn beside(path: &str, file: String) -> String {
    match Path::new(path).parent() {
        Some(folder) => folder.join(file).display().to_string(),
        None => file,
    }
}

fn variable(key: &str) -> String {
    format!("ORDERLY_{}", key.to_uppercase())
}

fn meant(key: &str) -> String {
    let likeness = |known: &Known| strsim::jaro(&known.key(), key);
    let nearest = KNOWN
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match nearest {
        Some(known) if likeness(known) > LIKENESS => format!("; is {} meant?", key_of(known.name)),
        _ => "; orderly --help lists them".to_owned(),
    }
}

#[cfg(test)]
mod tests;
