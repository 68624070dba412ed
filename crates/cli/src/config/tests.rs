//! Precedence and faults.

use std::collections::HashMap;

use super::{Settings, parse, shell_lines};

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn settings(environment: &[(&str, &str)], file: &[(&str, &str)]) -> Settings {
    Settings::new(map(environment), ".orderly/env".to_owned(), map(file))
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
