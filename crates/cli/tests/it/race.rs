//! `orderly race`: its numbers, its screen, and that nothing of it stays.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    system::{System, bare, success, until},
    temporary::Temporary,
};

/// Five of its first twenty requests are notes that are sent twice: even a slow machine comes to them.
const SEED: &str = "874";

/// Everything that may go wrong, by its name in JSON.
const COUNTS: [&str; 8] = [
    "lost_updates",
    "bad_versions",
    "done_twice",
    "charged_twice",
    "oversold_pieces",
    "miscounted_pieces",
    "unanswered",
    "strange",
];

/// Schemas of races in the system's database.
async fn schemas(system: &System) -> String {
    let list = "select nspname from pg_namespace where nspname like 'orderly_race_%'";
    system.env.psql(&[list]).await.unwrap().trim().to_owned()
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn it_counts_what_each_way_did_and_orderly_did_nothing_wrong() {
    let system = System::start().await;
    let flags = [
        "--duration",
        "4s",
        "--clients",
        "16",
        "--seed",
        SEED,
        "--yes",
    ];
    let printed = system.succeed(&[&["race", "-o", "json"], &flags[..]].concat());
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["seed"], 874);
    assert_eq!(report["orderly_is_clean"], true, "{printed}");
    for way in ["naive", "row_locks", "orderly"] {
        assert!(
            report[way]["confirmed"].as_u64().unwrap() > 0,
            "{way}: {printed}"
        );
        for count in COUNTS {
            let count = &report[way][count];
            assert!(
                count.is_u64() && (way != "orderly" || count == 0),
                "{way}: {printed}"
            );
        }
    }
    // The judge is awake: these two have nothing that could tell a retry from a request.
    for way in ["naive", "row_locks"] {
        assert!(
            report[way]["done_twice"].as_u64().unwrap() > 0,
            "{way}: {printed}"
        );
    }
    assert_eq!(report["row_locks"]["lost_updates"], 0, "{printed}");
    let lost_nothing = report["naive"]["lost_updates"] == 0;
    assert_eq!(
        report["naive_is_suspiciously_clean"], lost_nothing,
        "{printed}"
    );
    assert_eq!(schemas(&system).await, "");
    system.verify();
}

#[tokio::test]
async fn interrupted_on_a_running_orderly_it_drops_its_schema() {
    let system = System::start().await;
    let mut race = system
        .orderly(&["race", "--duration", "1m", "--yes"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Its clients are in the midst of their transactions then.
    until("a naive write is there", async || {
        let schema = schemas(&system).await;
        let count = format!("select count(*) from {schema}.orders where version > 1");
        !schema.is_empty() && system.env.psql(&[&count]).await.unwrap().trim() != "0"
    })
    .await;
    interrupt(&race);
    assert_eq!(race.wait().unwrap().code(), Some(1));
    assert_eq!(schemas(&system).await, "");
}

#[test]
fn without_an_orderly_it_brings_its_own_and_takes_it_away() {
    let temporary = Temporary::new("race");
    let output = temporary
        .orderly(&["race", "--duration", "4s", "--seed", SEED])
        .output();
    let screen = success(output.unwrap());
    assert!(
        screen.contains("Orderly lost, doubled and oversold nothing."),
        "{screen}"
    );
    assert!(screen.contains("Seed 874."), "{screen}");
    assert!(screen.lines().count() <= 30, "{screen}");
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    temporary.assert_nothing_is_left();
}

#[test]
fn interrupted_on_its_own_servers_it_leaves_nothing() {
    let temporary = Temporary::new("race-interrupted");
    let mut race = temporary
        .orderly(&["race", "--duration", "1m"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(race.stderr.take().unwrap());
    let mut lines = stderr.lines().map(Result::unwrap);
    assert!(
        lines.any(|line| line.starts_with("1/3")),
        "it ended before it began"
    );
    assert_ne!(temporary.processes(), "");
    interrupt(&race);
    // Read to its end: a full pipe would hold it up.
    let rest: Vec<String> = lines.collect();
    assert_eq!(race.wait().unwrap().code(), Some(1), "{rest:#?}");
    temporary.assert_nothing_is_left();
}

#[test]
fn half_an_environment_is_refused_before_anything_is_begun() {
    let key = "ORDERLY_URL";
    let output = bare(&["race"])
        .env(key, "http://127.0.0.1:9")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("ORDERLY_DATABASE_URL is not set"),
        "{stderr}"
    );
    assert!(stderr.contains("--private"), "{stderr}");
}
