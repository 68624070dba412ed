//! `orderly doctor` on a system that is well, on one that was hurt, and on one that is away.

use std::process::{Child, Command, Output, Stdio};

use orderly_devenv::{DevEnv, DevEnvOptions};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::system::{System, bare, success, until};

/// What `-o json` says: state, check and text of each finding.
fn findings(output: &Output) -> Vec<[String; 3]> {
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    });
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let three = |finding: &Value| ["state", "check", "what"].map(|name| text(finding, name));
    found.iter().map(three).collect()
}

/// The checks that came out so.
fn checks(findings: &[[String; 3]], state: &str) -> Vec<String> {
    let of_state = findings.iter().filter(|finding| finding[0] == state);
    of_state.map(|finding| finding[1].clone()).collect()
}

#[tokio::test]
async fn a_system_that_runs_is_well() {
    let system = System::start().await;
    system.place().await;
    let output = system.orderly(&["doctor", "-o", "json"]).output().unwrap();
    let found = findings(&output);
    // Only the management API could tell the rest, and the broker of a test has none.
    assert_eq!(output.status.code(), Some(3), "{found:#?}");
    assert_eq!(checks(&found, "unknown"), ["management"], "{found:#?}");
    // One worker, and a user who owns everything.
    assert_eq!(
        checks(&found, "warning"),
        ["audit", "workers"],
        "{found:#?}"
    );
    assert_eq!(checks(&found, "broken"), [""; 0], "{found:#?}");
    let well = [
        "database",
        "durability",
        "schema",
        "broker",
        "topology",
        "leftover",
        "publish",
        "rights",
        "shards",
        "clock",
    ];
    assert_eq!(checks(&found, "ok"), well, "{found:#?}");
    // The probes were no commands.
    system.place().await;
    system.verify();
    let dead = system.read("/v1/dead-letters").await;
    assert_eq!(
        dead["dead_letters"].as_array().map(Vec::len),
        Some(0),
        "{dead}"
    );
}

#[tokio::test]
async fn what_was_changed_behind_its_back_is_named() {
    let system = System::start().await;
    let database = system.env.database();
    let off = format!("alter database {database} set synchronous_commit = off");
    let unapplied = "delete from _sqlx_migrations where version = 20";
    system.env.psql(&[&off, unapplied]).await.unwrap();
    let output = system.orderly(&["doctor", "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found = findings(&output);
    let broken: Vec<_> = found
        .iter()
        .filter(|finding| finding[0] == "broken")
        .collect();
    for (check, what) in [("durability", "synchronous_commit"), ("schema", "20")] {
        let mut told = broken.iter().filter(|finding| finding[1] == check);
        assert!(
            told.any(|finding| finding[2].contains(what)),
            "{check}: {found:#?}"
        );
    }
}

#[tokio::test]
async fn what_is_away_is_a_finding_like_any_other() {
    let away = [
        "doctor",
        "-o",
        "json",
        "--database-url",
        "postgres://nobody@127.0.0.1:9/orderly",
        "--amqp-url",
        "amqp://127.0.0.1:9",
    ];
    let output = bare(&away).output().unwrap();
    let found = findings(&output);
    assert_eq!(
        checks(&found, "broken"),
        ["database", "broker"],
        "{found:#?}"
    );
    assert_eq!(output.status.code(), Some(1));
}

/// Servers of its own, whose broker has its management API.
struct Hospital {
    env: DevEnv,
    http: Client,
}

impl Hospital {
    async fn open() -> Self {
        let mut options = DevEnvOptions::temporary().unwrap();
        options.management = true;
        let hospital = Self {
            env: DevEnv::start(options).await.unwrap(),
            http: Client::new(),
        };
        success(hospital.orderly(&["migrate"]).output().unwrap());
        let apply = [
            "topology",
            "apply",
            "--settle-seconds",
            "0",
            "--shards",
            "2",
        ];
        success(hospital.orderly(&apply).output().unwrap());
        hospital
    }

    fn orderly(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command
            .env("ORDERLY_DATABASE_URL", self.env.database_url())
            .env("ORDERLY_AMQP_URL", self.env.amqp_url())
            .env("ORDERLY_MANAGEMENT_URL", self.env.management_url().unwrap());
        command
    }

    fn worker(&self) -> Command {
        self.orderly(&["worker", "--http-addr", "127.0.0.1:0"])
    }

    fn examine(&self) -> (Option<i32>, Vec<[String; 3]>) {
        let output = self.orderly(&["doctor", "-o", "json"]).output().unwrap();
        (output.status.code(), findings(&output))
    }

    /// Asks the management API for a change.
    async fn change(&self, method: Method, path: &str) {
        let url = format!("{}api/{path}", self.env.management_url().unwrap());
        let amqp: url::Url = self.env.amqp_url().parse().unwrap();
        let request = self.http.request(method, url);
        let request = request.basic_auth(amqp.username(), amqp.password());
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn with_the_management_api_nothing_is_left_unknown() {
    let hospital = Hospital::open().await;
    let mut workers = Vec::new();
    for _ in 0..2 {
        let worker = hospital.worker().stderr(Stdio::null()).spawn().unwrap();
        workers.push(Running(worker));
    }
    until("all is well", async || hospital.examine().0 == Some(0)).await;
    let (_, found) = hospital.examine();
    let all = [
        "database",
        "durability",
        "audit",
        "schema",
        "broker",
        "topology",
        "leftover",
        "publish",
        "rights",
        "version",
        "nodes",
        "alarms",
        "policy",
        "copies",
        "bindings",
        "shards",
        "workers",
        "clock",
    ];
    let checked: Vec<_> = found.iter().map(|finding| finding[1].as_str()).collect();
    assert_eq!(checked, all, "{found:#?}");

    // A policy that drops what was delivered three times: told, and no worker starts on it.
    let policy = [
        "set_policy",
        "--apply-to",
        "queues",
        "three",
        "^orders",
        r#"{"delivery-limit":3}"#,
    ];
    hospital.env.rabbitmqctl(&policy).await.unwrap();
    until("the policy is told", async || {
        let (code, found) = hospital.examine();
        code == Some(1) && checks(&found, "broken") == ["policy"; 3]
    })
    .await;
    let refused = hospital.worker().output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("clear_policy -p / three"), "{said}");
    let clear = ["clear_policy", "three"];
    hospital.env.rabbitmqctl(&clear).await.unwrap();
    until("all is well again", async || {
        hospital.examine().0 == Some(0)
    })
    .await;

    // A shard that nothing leads to.
    let binding = "bindings/%2F/e/orders.commands/q/orders.g1.001/g1.001";
    hospital.change(Method::DELETE, binding).await;
    let (code, found) = hospital.examine();
    assert_eq!(code, Some(1));
    assert_eq!(
        checks(&found, "broken"),
        ["publish", "bindings"],
        "{found:#?}"
    );
}
