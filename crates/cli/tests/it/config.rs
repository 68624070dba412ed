//! Settings as an operator gets them wrong.

use std::{os::unix::fs::PermissionsExt, process::Command};

use crate::system::bare;

#[test]
fn every_bad_setting_is_told_at_once_and_nothing_is_connected() {
    let output = bare(&["payments", "--http-addr", "everywhere"])
        .env("ORDERLY_DATABASE_URL", "mysql://root:hunter2@db/orderly")
        .env("ORDERLY_SANDBOX_DECLINE_PERCENT", "101")
        .env("ORDERLY_LOG", "=nonsense=")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for setting in [
        "ORDERLY_DATABASE_URL",
        "ORDERLY_AMQP_URL is not set",
        "--http-addr",
        "ORDERLY_SANDBOX_DECLINE_PERCENT",
        "ORDERLY_LOG",
    ] {
        assert!(
            stderr.contains(setting),
            "{setting} is missing in:\n{stderr}"
        );
    }
    assert!(!stderr.contains("hunter2"), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_server_that_is_away_is_unavailable() {
    // Port 9 (discard) of loopback: nothing listens there.
    let database = bare(&["migrate", "--database-url", "postgres://u:p@127.0.0.1:9/d"])
        .output()
        .unwrap();
    assert_eq!(
        database.status.code(),
        Some(7),
        "{}",
        String::from_utf8_lossy(&database.stderr)
    );
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    assert_eq!(
        bare(&["frobnicate"]).output().unwrap().status.code(),
        Some(2)
    );
}

/// A folder with an orderly.toml, and the program run in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn with(mode: u32, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orderly.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Self { folder }
    }

    fn orderly(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.current_dir(self.folder.path());
        command
    }
}

/// Exit code and words.
fn end(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Port 9 (discard) of loopback: nothing listens there.
const AWAY: &str = "database_url = \"postgres://u@127.0.0.1:9/d\"\n";

#[test]
fn orderly_toml_is_found_named_and_overruled() {
    let here = Place::with(0o644, AWAY);
    let (code, words) = end(here.orderly(&["migrate"]));
    assert_eq!(code, Some(7), "{words}");
    assert!(words.contains("127.0.0.1:9"), "{words}");

    let file = here.folder.path().join("orderly.toml");
    let (code, words) = end(bare(&["migrate", "--config", file.to_str().unwrap()]));
    assert_eq!(code, Some(7), "{words}");
    let mut named = bare(&["migrate"]);
    named.env("ORDERLY_CONFIG", &file);
    assert_eq!(end(named).0, Some(7));

    let mut overruled = here.orderly(&["migrate"]);
    overruled.env("ORDERLY_DATABASE_URL", "postgres://u@127.0.0.2:9/d");
    let (_, words) = end(overruled);
    assert!(words.contains("127.0.0.2:9"), "{words}");
    let (code, words) = end(here.orderly(&["migrate", "--config", "/dev/null"]));
    assert_eq!(code, Some(2), "{words}");
    let (code, words) = end(here.orderly(&["migrate", "--config", "elsewhere.toml"]));
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("elsewhere.toml cannot be read"), "{words}");
}

#[test]
fn every_fault_of_flags_environment_and_orderly_toml_is_told_at_once() {
    let place = Place::with(
        0o644,
        "amqp_url = \"amqp://u:hunter2@127.0.0.1:9\"\nsandbox_delay_ms = \"1\"\nhttp_adr = \"h\"\n",
    );
    let mut payments = place.orderly(&["payments", "--log", "=nonsense="]);
    payments.env("ORDERLY_DATABASE_URL", "mysql://h/d");
    let (code, words) = end(payments);
    assert_eq!(code, Some(2), "{words}");
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(
        lines,
        [
            "orderly: orderly.toml, line 1: amqp_url holds a secret in a file that everybody on this machine can read; \
             chmod 600 orderly.toml, or name a file of it with amqp_url_file",
            "orderly.toml, line 2: sandbox_delay_ms is not a whole number, such as 5",
            "orderly.toml, line 3: http_adr is not a setting; is http_addr meant?",
            "ORDERLY_DATABASE_URL is not a URL that begins with postgres:// or postgresql://",
            "--log is not a log filter, such as info or info,orderly_worker=debug",
        ]
    );
}

#[test]
fn a_health_check_needs_the_address_alone() {
    let away = |command| {
        let (code, words) = end(command);
        assert_eq!(code, Some(7), "{words}");
        words
    };
    let broken = Place::with(0o644, "http_addr = \"0.0.0.0:9\"\nlog = 7\n");
    let words = away(broken.orderly(&["healthcheck"]));
    assert!(
        words.contains("cannot reach http://127.0.0.1:9/"),
        "{words}"
    );
    let unreadable = Place::with(0o644, "not toml");
    let mut from_environment = unreadable.orderly(&["healthcheck"]);
    from_environment.env("ORDERLY_HTTP_ADDR", "[::]:9");
    let words = away(from_environment);
    assert!(words.contains("http://[::1]:9/"), "{words}");
    let (code, words) = end(unreadable.orderly(&["healthcheck"]));
    assert_eq!(code, Some(2), "{words}");
}
