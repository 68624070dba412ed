//! `orderly dev`: one command to everything, one Ctrl-C to nothing.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::system::{bare, success};

/// A machine that builds beside this starts two servers in half a minute.
const START_LIMIT: Duration = Duration::from_mins(2);

#[test]
fn it_runs_everything_and_leaves_nothing() {
    let directory = std::env::temp_dir().join(format!("orderly-dev-{}", std::process::id()));
    let data_dir = directory.to_str().unwrap();
    let mut dev = bare(&[
        "dev",
        "--data-dir",
        data_dir,
        "--demo",
        "--http-addr",
        "127.0.0.1:0",
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let began = Instant::now();
    // Kept open until the end: a panel that cannot be printed ends the process.
    let mut stdout = BufReader::new(dev.stdout.take().unwrap()).lines();
    let panel: Vec<String> = stdout
        .by_ref()
        .map(Result::unwrap)
        .take_while(|line| !line.contains("Ctrl-C"))
        .collect();
    assert!(
        began.elapsed() < START_LIMIT,
        "ready after {:?}",
        began.elapsed()
    );
    assert!(
        panel.iter().any(|line| line.contains("Orderly is ready")),
        "{panel:#?}"
    );

    let file = directory.join("env");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let orderly = |args: &[&str]| {
        bare(args)
            .env("ORDERLY_DATA_DIR", data_dir)
            .output()
            .unwrap()
    };
    assert!(success(orderly(&["stock", "show", "MUG-RED"])).contains("MUG-RED"));
    success(orderly(&["verify"]));

    let pasted = panel
        .iter()
        .skip_while(|line| !line.contains("curl -sS"))
        .take(3)
        .cloned()
        .collect::<Vec<_>>();
    let mut shell = std::process::Command::new("sh");
    let answer = success(shell.args(["-c", &pasted.join("\n")]).output().unwrap());
    assert!(answer.contains(r#""status":"applied""#), "{answer}");

    let interrupted = std::process::Command::new("kill")
        .args(["-s", "INT", &dev.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    assert_eq!(dev.wait().unwrap().code(), Some(0));
    assert!(!file.exists());
    assert_eq!(
        orderly(&["stock", "show", "MUG-RED"]).status.code(),
        Some(2),
        "nothing is set any more"
    );
    let left = std::process::Command::new("pgrep")
        .args(["-f", data_dir])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}
