//! The offline data of the SQL macros: `.sqlx` at the root, so that a build needs no database.
//!
//! The macros themselves write it while they expand against a database, if `SQLX_OFFLINE_DIR` names a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::install;
use crate::servers::Servers;

/// File name to content.
type Data = BTreeMap<String, Vec<u8>>;

/// Makes `.sqlx` anew.
pub(crate) fn write() -> Result<()> {
    let made = make()?;
    let kept = kept_folder();
    let old = kept.with_extension("old");
    let new = kept.with_extension("new");
    remove(&old)?;
    remove(&new)?;
    fs::create_dir(&new).context("cannot create a folder")?;
    for (name, content) in &made {
        fs::write(new.join(name), content).with_context(|| format!("cannot write {name}"))?;
    }
    // Two renames: a build beside us sees the old data or the new, or for an instant none, never a mixture.
    if kept.exists() {
        fs::rename(&kept, &old).context("cannot move the old data away")?;
    }
    fs::rename(&new, &kept).context("cannot put the new data in place")?;
    remove(&old)?;
    eprintln!("xtask: .sqlx holds {} queries", made.len());
    Ok(())
}

/// Says whether `.sqlx` is what the macros would write now.
pub(crate) fn check() -> Result<()> {
    compare(&make()?)
}

/// Prepares a database with the schema, and `command`'s environment to expand the macros against it.
pub(crate) struct Recording {
    folder: PathBuf,
}

impl Recording {
    /// `command` must compile crate store, which is made to look changed.
    pub(crate) fn prepare(servers: &Servers, command: &mut Command) -> Result<Self> {
        migrate(servers.database_url())?;
        let folder = cargo::target_folder()?.join("xtask-sqlx");
        remove(&folder)?;
        fs::create_dir_all(&folder).context("cannot create a folder")?;
        // Cargo does not see that the macros would now expand differently.
        for source in ["crates/store/src/lib.rs", "crates/store/tests/it/main.rs"] {
            let source = cargo::root().join(source);
            if source.exists() {
                let file = fs::File::open(&source).context("cannot open crate store")?;
                file.set_modified(SystemTime::now())
                    .context("cannot touch crate store")?;
            }
        }
        command
            .env("DATABASE_URL", servers.database_url())
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", &folder);
        Ok(Self { folder })
    }

    /// What the macros wrote, after the command has run.
    pub(crate) fn finish(self) -> Result<Data> {
        let data = read(&self.folder)?;
        remove(&self.folder)?;
        if data.is_empty() {
            bail!("the SQL macros wrote nothing: was crate store compiled?");
        }
        Ok(data)
    }
}

/// Says whether `.sqlx` holds exactly this data.
pub(crate) fn compare(made: &Data) -> Result<()> {
    let kept = read(&kept_folder())?;
    if kept == *made {
        return Ok(());
    }
    for name in made.keys().filter(|name| !kept.contains_key(*name)) {
        eprintln!(".sqlx lacks {name}: {}", query(&made[name]));
    }
    for name in kept.keys().filter(|name| !made.contains_key(*name)) {
        eprintln!(".sqlx still has {name}: {}", query(&kept[name]));
    }
    for (name, content) in made {
        if kept.get(name).is_some_and(|kept| kept != content) {
            eprintln!(".sqlx has another {name}: {}", query(content));
        }
    }
    bail!(".sqlx is not fresh: run `cargo xtask sqlx` and commit what it writes");
}

fn make() -> Result<Data> {
    install::for_dev()?;
    let servers = Servers::start()?;
    let mut command = cargo::cargo(&["check", "--package", "orderly-store", "--all-targets"]);
    let recording = Recording::prepare(&servers, &mut command)?;
    cargo::run(&mut command)?;
    recording.finish()
}

fn kept_folder() -> PathBuf {
    cargo::root().join(".sqlx")
}

/// Applies the migrations in the order of their names, each in one transaction.
fn migrate(database_url: &str) -> Result<()> {
    let folder = cargo::root().join("migrations");
    let entries = fs::read_dir(&folder).context("cannot read migrations")?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    for file in files {
        let mut command = Command::new("psql");
        command
            .args(["--no-psqlrc", "--quiet", "--single-transaction"])
            .args(["--set", "ON_ERROR_STOP=1", "--file"])
            .arg(&file)
            .arg(database_url)
            .stdout(Stdio::null());
        cargo::run(&mut command).with_context(|| format!("cannot apply {}", file.display()))?;
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Data> {
    let mut data = Data::new();
    if !folder.exists() {
        return Ok(data);
    }
    for entry in fs::read_dir(folder).context("cannot read the SQL data")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        data.insert(name, fs::read(entry.path())?);
    }
    Ok(data)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// The beginning of a query, to recognize it by.
fn query(content: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(content).unwrap_or_default();
    let text = value["query"].as_str().unwrap_or("unreadable");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(100).collect()
}
