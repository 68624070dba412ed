//! Precedence and faults.

use std::{collections::HashMap, io::Write};

use super::{Settings, TomlFile, parse, shell_lines};

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn settings(environment: &[(&str, &str)], file: &[(&str, &str)]) -> Settings {
    with_toml(environment, TomlFile::default(), file)
}

fn with_toml(environment: &[(&str, &str)], toml: TomlFile, file: &[(&str, &str)]) -> Settings {
    Settings::new(map(environment), toml, ".orderly/env".to_owned(), map(file))
}

/// A file of settings that nobody else can read.
fn toml(text: &str) -> TomlFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    TomlFile::load(file.path().to_str())
}

const NAME: &str = "ORDERLY_URL";

#[allow(
    clippy::unnecessary_wraps,
    reason = "it stands in for the parsers, which can fail"
)]
fn text(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let flag = "flag".to_owned();
    let mut all = settings(&[(NAME, "environment")], &[(NAME, "file")]);
    assert_eq!(
        all.optional(Some(&flag), NAME, text).as_deref(),
        Some("flag")
    );
    assert_eq!(
        all.optional(None, NAME, text).as_deref(),
        Some("environment")
    );
    assert_eq!(
        settings(&[], &[(NAME, "file")])
            .optional(None, NAME, text)
            .as_deref(),
        Some("file")
    );
    assert_eq!(
        settings(&[], &[])
            .or_default(None, NAME, "default".to_owned(), text)
            .as_deref(),
        Some("default")
    );
}

#[test]
fn orderly_toml_stands_between_the_environment_and_the_file_of_dev() {
    let file = || toml("url = \"http://toml\"\n");
    let find = |environment: &[(&str, &str)]| {
        with_toml(environment, file(), &[(NAME, "dev")]).optional(None, NAME, text)
    };
    assert_eq!(find(&[]).as_deref(), Some("http://toml"));
    assert_eq!(
        find(&[(NAME, "environment")]).as_deref(),
        Some("environment")
    );
}

#[test]
fn a_fault_in_orderly_toml_is_told_once_and_is_no_missing_setting() {
    let mut bad = with_toml(
        &[],
        toml("amqp_url = \"http://h\"\nhttp_addr = \"nowhere\"\n"),
        &[],
    );
    let amqp = bad.required(None, "ORDERLY_AMQP_URL", parse::amqp_url);
    let database = bad.required(None, "ORDERLY_DATABASE_URL", parse::database_url);
    let faults = bad.finish(|| Some((amqp?, database?))).unwrap_err();
    let faults = faults.to_string();
    assert_eq!(faults.lines().count(), 3, "{faults}");
    assert!(
        faults.contains("line 1: amqp_url is not a URL")
            && faults.contains("line 2: http_addr is not an address")
            && faults.contains("ORDERLY_DATABASE_URL is not set"),
        "{faults}"
    );
}

#[test]
fn a_secret_can_be_named_by_orderly_toml_and_a_flag_still_wins() {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"s3cret\n").unwrap();
    let line = format!("api_key_file = \"{}\"\n", secret.path().display());
    let mut settings = with_toml(&[], toml(&line), &[]);
    let name = "ORDERLY_API_KEY";
    assert_eq!(
        settings.optional(None, name, text).as_deref(),
        Some("s3cret")
    );
    let flag = "flag".to_owned();
    assert_eq!(
        settings.optional(Some(&flag), name, text).as_deref(),
        Some("flag")
    );
}

#[test]
fn a_secret_is_read_from_its_file_without_the_last_newline() {
    let path = std::env::temp_dir().join(format!("orderly-secret-{}", std::process::id()));
    std::fs::write(&path, "s3cret\n").unwrap();
    let name = format!("{NAME}_FILE");
    let mut from_file = settings(&[(&name, path.to_str().unwrap())], &[]);
    assert_eq!(
        from_file.optional(None, NAME, text).as_deref(),
        Some("s3cret")
    );
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn every_fault_is_told_at_once_and_no_value_is_shown() {
    let mut bad = settings(
        &[
            ("ORDERLY_AMQP_URL", "http://user:hunter2@h"),
            ("ORDERLY_HTTP_ADDR", "nowhere"),
        ],
        &[],
    );
    let database = bad.required(None, "ORDERLY_DATABASE_URL", parse::database_url);
    let amqp = bad.required(None, "ORDERLY_AMQP_URL", parse::amqp_url);
    let address = bad.required(None, "ORDERLY_HTTP_ADDR", parse::socket_address);
    let faults = bad
        .finish(|| Some((database?, amqp?, address?)))
        .unwrap_err()
        .to_string();
    assert_eq!(faults.lines().count(), 3, "{faults}");
    assert!(
        faults.contains("ORDERLY_DATABASE_URL is not set"),
        "{faults}"
    );
    assert!(!faults.contains("hunter2"), "{faults}");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    assert_eq!(
        settings(&[(NAME, "")], &[(NAME, "file")])
            .optional(None, NAME, text)
            .as_deref(),
        Some("file")
    );
}

#[test]
fn a_value_and_its_file_at_once_is_a_fault() {
    let name = format!("{NAME}_FILE");
    let mut both = settings(&[(NAME, "a"), (&name, "b")], &[]);
    assert_eq!(both.optional(None, NAME, text), None);
    assert!(both.finish(|| Some(())).is_err());
}

#[test]
fn the_file_of_dev_is_read_as_shell_lines() {
    let lines = shell_lines(
        "# a comment\nexport ORDERLY_URL='http://127.0.0.1:8080'\nORDERLY_API_KEY=k=1\nPATH=/bin\n",
    );
    assert_eq!(
        lines,
        map(&[
            ("ORDERLY_URL", "http://127.0.0.1:8080"),
            ("ORDERLY_API_KEY", "k=1")
        ])
    );
}
