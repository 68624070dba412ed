//! `orderly storm`: what it finds, what it writes, and that nothing of it stays.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    system::{LIMIT, System, bare},
    temporary::Temporary,
};

/// What any machine accepts within five seconds, workers that die included.
const LEAST_ACCEPTED: u64 = 30;

/// A storm of a few seconds; its report, once it has found nothing.
pub(crate) fn clean(output: &std::process::Output) -> Value {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["is_clean"], true, "{report:#}");
    let accepted = report["counts"]["accepted"].as_u64().unwrap();
    assert!(accepted >= LEAST_ACCEPTED, "{report:#}");
    for verdict in report["verdicts"].as_array().unwrap() {
        assert_eq!(verdict["violated"], 0, "{report:#}");
        assert_ne!(verdict["checked"], 0, "{report:#}");
    }
    report
}

/// In CI some three minutes with everything around it; `ORDERLY_STORM_SECONDS=600` storms longer.
#[test]
fn everything_that_can_fail_breaks_no_promise() {
    let temporary = Temporary::new("storm-all");
    let seconds = std::env::var("ORDERLY_STORM_SECONDS").unwrap_or_else(|_| "120".to_owned());
    let storm = temporary
        .orderly(&["storm", "--private", "--faults", "all", "-o", "json"])
        .args(["--duration", &format!("{seconds}s"), "--clients", "12"])
        .output();
    let report = clean(&storm.unwrap());
    let kinds = report["applied"].as_object().unwrap().keys();
    let all = "amend annotate cancel deliver hold pay place refund release return set_address ship";
    assert_eq!(kinds.cloned().collect::<Vec<_>>().join(" "), all);
    eprintln!("{:#}", report["faults"]);
    temporary.assert_nothing_is_left();
}

#[test]
fn nothing_is_left_of_a_storm_that_is_killed() {
    let temporary = Temporary::new("storm-killed");
    let history = std::env::temp_dir().join(format!("orderly-killed-{}.jsonl", std::process::id()));
    let mut storm = temporary
        .orderly(&["storm", "--private", "--faults", "kill-worker"])
        .args(["--duration", "1m", "--history"])
        .arg(&history)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(storm.stderr.take().unwrap()).lines();
    let storming = said
        .map_while(Result::ok)
        .find(|line| line.contains("requests"));
    assert!(storming.is_some(), "it began");
    assert!(
        !temporary.processes().is_empty(),
        "its processes name the folder"
    );
    storm.kill().unwrap();
    storm.wait().unwrap();
    let began = Instant::now();
    while !temporary.processes().is_empty() {
        assert!(began.elapsed() < LIMIT, "{}", temporary.processes());
        std::thread::sleep(Duration::from_millis(100));
    }
    let judged = temporary
        .orderly(&["storm", "-o", "json", "--judge"])
        .arg(&history)
        .output();
    std::fs::remove_file(&history).unwrap();
    let judged = judged.unwrap();
    let report: Value = serde_json::from_slice(&judged.stdout).unwrap();
    assert_eq!(report["is_clean"], true, "{report:#}");
    // It was killed two seconds after its beginning, one of which is in the file at the least.
    assert!(
        report["counts"]["accepted"].as_u64() > Some(0),
        "{report:#}"
    );
    assert!(report["seconds"].is_null(), "{report:#}");
    let said = String::from_utf8(judged.stderr).unwrap();
    assert!(said.contains("the storm was killed"), "{said}");
    temporary.assert_nothing_is_left();
}

#[test]
fn workers_that_are_killed_or_ended_break_no_promise_and_nothing_of_it_is_left() {
    let temporary = Temporary::new("storm");
    let history = std::env::temp_dir().join(format!("orderly-storm-{}.jsonl", std::process::id()));
    let storm = temporary
        .orderly(&[
            "storm",
            "--private",
            "--faults",
            "kill-worker,end-worker",
            "-o",
            "json",
        ])
        .args(["--duration", "10s", "--clients", "8", "--seed", "7"])
        .arg("--history")
        .arg(&history)
        .output();
    let report = clean(&storm.unwrap());
    assert_eq!(report["seed"], 7);
    let faults = report["faults"].as_array().unwrap();
    for (fault, name) in faults.iter().zip(["none", "kill-worker", "end-worker"]) {
        assert_eq!(fault["fault"], name, "{report:#}");
        assert!(fault["recovered_max_ms"].as_f64() > Some(0.0), "{report:#}");
    }
    assert_eq!(faults.len(), 3, "{report:#}");
    let text = std::fs::read_to_string(&history).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let count = |what: &str| lines.iter().filter(|line| line["line"] == what).count();
    for (line, counted) in [
        ("request", "requests"),
        ("answer", "requests"),
        ("event", "sightings"),
    ] {
        assert_eq!(
            Some(count(line)),
            number(&report["counts"][counted]),
            "{line}"
        );
    }
    // Written while it happened: no answer before its request.
    let mut asked = HashSet::new();
    for line in &lines {
        let mark = line["mark"].as_str().map(str::to_owned);
        if line["line"] == "request" {
            asked.insert(mark);
        } else if line["line"] == "answer" {
            assert!(asked.contains(&mark), "{line}");
        }
    }
    let judged = temporary
        .orderly(&["storm", "-o", "json", "--judge"])
        .arg(&history)
        .output();
    std::fs::remove_file(&history).unwrap();
    let again: Value = serde_json::from_slice(&judged.unwrap().stdout).unwrap();
    assert_eq!(again, report, "from its file");
    temporary.assert_nothing_is_left();
}

#[test]
fn the_number_of_shards_changes_again_and_again_and_no_promise_is_broken() {
    let temporary = Temporary::new("storm-resize");
    let storm = temporary
        .orderly(&["storm", "--private", "--scenario", "resize", "-o", "json"])
        .args(["--duration", "30s", "--clients", "8"])
        .output();
    let report = clean(&storm.unwrap());
    let resizes = &report["resizes"];
    // Each takes the ten seconds for which new queues settle, and the one that is under way at the end is awaited.
    assert!(resizes["times"].as_u64() >= Some(2), "{resizes:#}");
    assert!(resizes["commands"].as_u64() > Some(0), "{resizes:#}");
    eprintln!("{resizes:#}");
    temporary.assert_nothing_is_left();
}

fn number(count: &Value) -> Option<usize> {
    usize::try_from(count.as_u64()?).ok()
}

#[tokio::test]
async fn every_scenario_finds_nothing_on_an_orderly_that_runs() {
    let system = System::start().await;
    for scenario in ["hot-order", "oversell", "cancel-vs-pay", "duplicates"] {
        let storm = [
            "storm",
            "--scenario",
            scenario,
            "--duration",
            "2s",
            "--clients",
            "8",
        ];
        let output = system
            .orderly(&[&storm[..], &["--yes", "-o", "json"]].concat())
            .output();
        let report = clean(&output.unwrap());
        assert_eq!(report["scenario"], scenario);
    }
    system.verify();
}

#[test]
fn only_what_it_started_itself_is_hurt() {
    let output = bare(&["storm", "--faults", "kill-worker"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("add --private"), "{stderr}");
    let output = bare(&["storm", "--private", "--faults", "freeze-node"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("add --brokers 3"), "{stderr}");
}
