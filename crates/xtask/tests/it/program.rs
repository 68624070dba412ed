//! The compose file and the program: commands that it takes, settings that it reads.

use std::path::PathBuf;
use std::process::Command;

use crate::compose::{ORDERLY, read, root};

/// The program, built if it is not: with the features of the whole workspace, as a test run has it.
fn program() -> PathBuf {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).current_dir(root());
        // Set for this test's own package, and taken for a change by build scripts that watch them.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        output.stdout
    };
    cargo(&["build", "--workspace", "--bin", ORDERLY]);
    let printed = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_slice(&printed).unwrap();
    PathBuf::from(metadata["target_directory"].as_str().unwrap()).join("debug/orderly")
}

#[test]
fn every_command_and_every_setting_is_known_to_the_program() {
    let program = program();
    let compose = read();
    let mut settings = String::new();
    let mut help = |name: &str, command: &[String]| {
        let output = Command::new(&program)
            .args(command)
            .arg("--help")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {command:?}: {said}");
        settings.push_str(&String::from_utf8_lossy(&output.stdout));
    };
    for (name, service) in compose.ours() {
        assert!(!service.command.is_empty(), "{name}");
        help(name, &service.command);
    }
    for (name, service) in compose.ours() {
        for variable in service.environment.keys() {
            // Any setting can come from a file.
            let setting = variable.trim_end_matches("_FILE");
            let known = settings
                .split(|letter: char| !letter.is_ascii_uppercase() && letter != '_')
                .any(|word| word == setting);
            assert!(known, "{name}: no command knows {variable}");
        }
    }
}
