//! The copy of the sources, and what is changed in it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::list::Mutant;
use crate::cargo;

/// The program's name in the copy: it is built beside the true one.
pub(super) const PROGRAM: &str = "orderly-mutant";

/// Asks whether this process is a mutant. Appended to every crate that a mutant changes.
const ASLEEP: &str = r#"
#[allow(missing_docs)]
pub(crate) fn mutant(name: &str) -> bool {
    std::env::var("MUTANT").is_ok_and(|it| it == name)
}
"#;

/// A change in one file.
pub(super) struct Edit {
    pub(super) file: &'static str,
    /// What is there, once.
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

impl Edit {
    /// The file's text with the change.
    pub(super) fn apply(&self, text: &str) -> Result<String> {
        let times = text.matches(self.from).count();
        if times != 1 {
            bail!("{}: found {times} times: {}", self.file, self.from);
        }
        Ok(text.replace(self.from, self.to))
    }
}

/// What every copy needs.
const HARNESS: &[Edit] = &[
    Edit {
        // Cargo tells packages in one folder of builds apart by name and version, not by where their sources lie: with the same
        // version the true program would be linked with what was broken here.
        file: "Cargo.toml",
        from: "[workspace.package]\nversion = \"0.1.0\"",
        to: "[workspace.package]\nversion = \"0.1.0-mutant\"",
    },
    Edit {
        file: "crates/cli/Cargo.toml",
        from: "[[bin]]\nname = \"orderly\"",
        to: "[[bin]]\nname = \"orderly-mutant\"",
    },
    Edit {
        // The processes of a storm have an environment of their own.
        file: "crates/cli/src/command/storm/deployment.rs",
        from: "            .args([role, \"--http-addr\"",
        to: "            .env(\"MUTANT\", std::env::var(\"MUTANT\").unwrap_or_default())\n            .args([role, \"--http-addr\"",
    },
];

/// Copies what git knows of, and breaks it.
pub(super) fn copy(mutants: &[Mutant]) -> Result<PathBuf> {
    let to = cargo::target_folder()?.join("mutants");
    if to.exists() {
        fs::remove_dir_all(&to).context("remove the last copy")?;
    }
    let mut list = Command::new("git");
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(cargo::root());
    let files = String::from_utf8(cargo::output(&mut list)?).context("a file's name")?;
    for file in files.split_terminator('\0') {
        let source = cargo::root().join(file);
        // Deleted, and not yet committed.
        if !source.exists() {
            continue;
        }
        let target = to.join(file);
        let folder = target.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder)?;
        fs::copy(&source, &target).with_context(|| format!("copy {file}"))?;
    }
    let edits = mutants.iter().flat_map(|it| it.edits);
    let mut changed = Vec::new();
    for edit in HARNESS.iter().chain(edits) {
        let path = to.join(edit.file);
        let text = edit.apply(&fs::read_to_string(&path)?)?;
        fs::write(&path, text)?;
        let part: Vec<&str> = edit.file.split('/').take(2).collect();
        changed.push(part.join("/"));
    }
    changed.sort();
    changed.dedup();
    for part in changed {
        let library = to.join(part).join("src/lib.rs");
        // The command line is a program; its one change needs nothing.
        if library.exists() {
            let text = fs::read_to_string(&library)?;
            fs::write(&library, text + ASLEEP)?;
        }
    }
    Ok(to)
}
