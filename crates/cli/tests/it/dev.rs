//! `orderly dev`: one command to everything, one Ctrl-C to nothing.

use std::{
    io::{BufRead, BufReader, Lines},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use crate::system::{bare, success};

/// A machine that builds beside this starts two servers in half a minute.
const START_LIMIT: Duration = Duration::from_mins(2);

/// A running `orderly dev`.
struct Dev {
    child: Child,
    panel: Vec<String>,
    /// Kept open until the end: a panel that cannot be printed ends the process.
    _stdout: Lines<BufReader<ChildStdout>>,
    data_dir: PathBuf,
}

impl Dev {
    /// Starts it, and returns with its panel.
    fn start(data_dir: &Path, flags: &[&str]) -> Self {
        let began = Instant::now();
        let mut child = bare(&["dev", "--http-addr", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let panel: Vec<String> = stdout
            .by_ref()
            .map(Result::unwrap)
            .take_while(|line| !line.contains("Ctrl-C"))
            .collect();
        let took = began.elapsed();
        let ready = panel.iter().any(|line| line.contains("Orderly is ready"));
        assert!(ready && took < START_LIMIT, "after {took:?}: {panel:#?}");
        let data_dir = data_dir.to_owned();
        Self {
            child,
            panel,
            _stdout: stdout,
            data_dir,
        }
    }

    /// Another command beside it, which finds it by its data folder.
    fn orderly(&self, args: &[&str]) -> Output {
        bare(args)
            .env("ORDERLY_DATA_DIR", &self.data_dir)
            .output()
            .unwrap()
    }

    /// Pastes the panel's curl into a shell.
    fn paste(&self) -> String {
        let lines = self
            .panel
            .iter()
            .skip_while(|line| !line.contains("curl -sS"))
            .take(3);
        let pasted: Vec<&str> = lines.map(String::as_str).collect();
        success(
            Command::new("sh")
                .args(["-c", &pasted.join("\n")])
                .output()
                .unwrap(),
        )
    }

    /// What logging in by the panel's link answers: the key that stands behind # is sent as the page sends it.
    fn follow_link(&self) -> String {
        let mut lines = self.panel.iter();
        let link = lines
            .find_map(|line| line.trim().strip_prefix("Dashboard"))
            .unwrap();
        let (page, key) = link.trim().split_once("/#key=").unwrap();
        let body = format!(r#"{{"api_key":"{key}"}}"#);
        success(
            Command::new("curl")
                .args([
                    "-sS",
                    "-i",
                    "-H",
                    "Content-Type: application/json",
                    "-d",
                    &body,
                ])
                .arg(format!("{page}/session"))
                .output()
                .unwrap(),
        )
    }

    /// Ctrl-C; nothing of it is left then.
    fn interrupt(&mut self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", "INT", &id])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let shown = self.orderly(&["stock", "show", "MUG-RED"]);
        assert_eq!(shown.status.code(), Some(2), "nothing is set any more");
        let left = Command::new("pgrep")
            .arg("-f")
            .arg(&self.data_dir)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It has ended already, unless the test failed; its servers end with it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn it_runs_everything_leaves_nothing_and_keeps_what_it_is_told_to() {
    let data_dir = std::env::temp_dir().join(format!("orderly-dev-{}", std::process::id()));
    let mut dev = Dev::start(&data_dir, &["--demo", "--keep"]);
    let mode = std::fs::metadata(data_dir.join("env"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(success(dev.orderly(&["stock", "show", "MUG-RED"])).contains("MUG-RED"));
    let answer = dev.follow_link();
    assert!(
        answer.starts_with("HTTP/1.1 204") && answer.contains("set-cookie: orderly_session="),
        "{answer}"
    );
    let answer = dev.paste();
    assert!(answer.contains(r#""status":"applied""#), "{answer}");
    success(dev.orderly(&["verify"]));
    dev.interrupt();

    // Without --keep this time: the data of the first run is there, and gone afterwards.
    let mut again = Dev::start(&data_dir, &[]);
    let verified = success(again.orderly(&["verify", "-o", "json"]));
    let report: serde_json::Value = serde_json::from_str(&verified).unwrap();
    assert!(
        report["counts"]["orders"].as_u64().unwrap() > 0,
        "{verified}"
    );
    again.interrupt();
    assert!(!data_dir.join("postgres").exists());
}
