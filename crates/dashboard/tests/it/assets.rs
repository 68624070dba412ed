//! Where the files of the page are from: each is listed, and what others wrote is what the list says, byte for byte.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use orderly_protocol::serde_json::{self, Value, json};
use sha2::{Digest, Sha256};

const LIST: &str = "ORIGINS.json";

/// What the list must say of a file that others wrote.
const VENDORED_FIELDS: [&str; 4] = ["origin", "version", "sha256", "licence"];

/// What is wrong between the files of a folder and its list.
fn faults(folder: &Path) -> Vec<String> {
    let list: Value = serde_json::from_slice(&fs::read(folder.join(LIST)).unwrap()).unwrap();
    let entries = list["files"].as_array().unwrap();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let listed: BTreeSet<String> = entries.iter().map(|entry| text(entry, "file")).collect();
    let there: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != LIST)
        .collect();
    let mut faults = Vec::new();
    faults.extend(
        there
            .difference(&listed)
            .map(|file| format!("{file} is not listed")),
    );
    faults.extend(
        listed
            .difference(&there)
            .map(|file| format!("{file} is not there")),
    );
    for entry in entries {
        let file = text(entry, "file");
        if text(entry, "origin") == "own" || !there.contains(&file) {
            continue;
        }
        let missing = VENDORED_FIELDS
            .iter()
            .filter(|field| text(entry, field).is_empty());
        faults.extend(missing.map(|field| format!("{file} has no {field}")));
        if sha256(&fs::read(folder.join(&file)).unwrap()) != text(entry, "sha256") {
            faults.push(format!("{file} is not what was vendored"));
        }
    }
    faults
}

fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

fn assets() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"))
}

#[test]
fn every_file_is_listed_and_what_was_vendored_is_unchanged() {
    assert_eq!(faults(assets()), Vec::<String>::new());
}

#[test]
fn the_check_finds_what_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let library = "export const answer = 42;\n";
    let vendored = json!({
        "file": "library.js", "origin": "npm: library", "version": "1.2.3", "licence": "MIT",
        "sha256": sha256(library.as_bytes()),
    });
    let list = |entries: &[&Value]| {
        let list = json!({ "files": entries }).to_string();
        fs::write(folder.path().join(LIST), list).unwrap();
    };
    fs::write(folder.path().join("library.js"), library).unwrap();
    list(&[&vendored]);
    assert_eq!(faults(folder.path()), Vec::<String>::new());

    list(&[
        &json!({ "file": "library.js", "origin": "npm: library", "sha256": vendored["sha256"] }),
    ]);
    assert_eq!(
        faults(folder.path()),
        ["library.js has no version", "library.js has no licence"]
    );
    list(&[&vendored, &json!({ "file": "gone.js", "origin": "own" })]);
    assert_eq!(faults(folder.path()), ["gone.js is not there"]);
    list(&[&vendored]);
    fs::write(
        folder.path().join("library.js"),
        "export const answer = 43;\n",
    )
    .unwrap();
    fs::write(folder.path().join("more.js"), "").unwrap();
    assert_eq!(
        faults(folder.path()),
        [
            "more.js is not listed",
            "library.js is not what was vendored"
        ]
    );
}

#[test]
fn nothing_is_loaded_from_elsewhere_and_no_data_becomes_markup() {
    for entry in fs::read_dir(assets()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        // The name of a vocabulary; nothing is loaded by it.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for banned in [
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "style=",
            "<style",
            "javascript:",
        ] {
            assert!(!text.contains(banned), "{} has {banned}", path.display());
        }
    }
}
