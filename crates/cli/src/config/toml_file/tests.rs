//! Every fault of the file, and no value of it.

use std::os::unix::fs::PermissionsExt;

use super::{TomlFile, fs};

/// The faults of such a file.
fn faults(mode: u32, text: &str) -> Vec<String> {
    load(mode, text)
        .faults
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn load(mode: u32, text: &str) -> TomlFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orderly.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let mut file = TomlFile::load(path.to_str());
    // The folder has a name of its own each time.
    let shown = format!("{}/", folder.path().display());
    for fault in &mut file.faults {
        fault.problem = fault.problem.replace(&shown, "");
        if let Some(super::Origin::Toml { path, .. } | super::Origin::File(path)) =
            &mut fault.origin
        {
            *path = path.replace(&shown, "");
        }
    }
    file
}

#[test]
fn keys_are_variables_in_lower_case() {
    let file = load(
        0o644,
        "http_addr = \"0.0.0.0:80\"\nsandbox_delay_ms = 1_500\napi_key_file = \"key\"\n",
    );
    assert_eq!(file.faults, []);
    assert_eq!(file.get("ORDERLY_HTTP_ADDR").unwrap().0, "0.0.0.0:80");
    assert_eq!(file.get("ORDERLY_SANDBOX_DELAY_MS").unwrap().0, "1500");
    let (key_file, _) = file.get("ORDERLY_API_KEY_FILE").unwrap();
    assert!(
        key_file.starts_with('/') && key_file.ends_with("/key"),
        "beside orderly.toml: {key_file}"
    );
}

#[test]
fn every_fault_of_the_file_is_told_with_its_line() {
    let text = "\
databse_url = \"postgres://h/d\"
http_addr = 8080

sandbox_decline_percent = \"5\"
sandbox_delay_ms = 99999999
colour = true
log = \"\"
[sandbox]
delay_ms = 1
";
    assert_eq!(
        faults(0o600, text),
        [
            "orderly.toml, line 1: databse_url is not a setting; is database_url meant?",
            "orderly.toml, line 2: http_addr is not a text in quotes",
            "orderly.toml, line 4: sandbox_decline_percent is not a whole number, such as 5",
            "orderly.toml, line 5: sandbox_delay_ms is not a whole number from 0 to 60000",
            "orderly.toml, line 6: colour is not a setting; orderly --help lists them",
            "orderly.toml, line 7: log is empty; leave the line out",
            "orderly.toml, line 8: sandbox is not a setting; is sandbox_delay_ms meant?",
        ]
    );
}

#[test]
fn what_is_not_toml_is_told_without_what_stands_there() {
    let found = faults(0o600, "api_key = hunter2\namqp_url = \"amqp://h\n");
    assert!(found.len() >= 2, "{found:#?}");
    assert!(
        found[0].starts_with("orderly.toml, line 1: is not TOML: "),
        "{found:#?}"
    );
    assert!(!found.concat().contains("hunter2"), "{found:#?}");
}

#[test]
fn a_secret_that_everybody_can_read_is_refused() {
    let secret = "amqp_url = \"amqp://u:p@h\"\n";
    assert_eq!(faults(0o600, secret), [""; 0]);
    assert_eq!(faults(0o640, secret), [""; 0]);
    assert_eq!(
        faults(0o644, secret),
        [
            "orderly.toml, line 1: amqp_url holds a secret in a file that everybody on this machine can read; \
                 chmod 600 orderly.toml, or name a file of it with amqp_url_file"
        ]
    );
    let no_secret = "database_url = \"postgres:///orderly?host=/run/postgresql\"\n";
    assert_eq!(faults(0o644, no_secret), [""; 0]);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let file = TomlFile::load(Some("/nonexistent/orderly.toml"));
    assert!(
        file.faults[0]
            .to_string()
            .starts_with("/nonexistent/orderly.toml cannot be read"),
        "{:?}",
        file.faults
    );
    assert_eq!(TomlFile::load(Some("/dev/null")).faults, []);
}
