//! Settings as an operator gets them wrong.

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
