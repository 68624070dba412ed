//! Commands that follow: what they print, how they end, and what they do when the server goes away.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    role::Role,
    system::{System, until},
};

/// A command that runs.
pub(crate) struct Follower {
    child: Child,
    out: BufReader<ChildStdout>,
    err: ChildStderr,
}

impl Follower {
    fn start(system: &System, args: &[&str]) -> Self {
        Self::of(&mut system.orderly(args))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            out: BufReader::new(child.stdout.take().unwrap()),
            err: child.stderr.take().unwrap(),
            child,
        }
    }

    /// The next line of data, as JSON.
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut err = String::new();
            self.child.kill().unwrap();
            self.err.read_to_string(&mut err).unwrap();
            panic!("{line:?}\n{err}")
        })
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits for its end: exit code, the rest of its data, its words.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.err.read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

async fn annotate(system: &System, order_id: Uuid, number: u64) {
    let body = json!({"type": "annotate", "data": {"key": "n", "value": number.to_string()}});
    let answer = system
        .send(order_id, &body, &format!("{order_id}/{number}"), true)
        .await;
    assert!(answer.status().is_success());
}

fn version(event: &Value) -> u64 {
    event["data"]["version"].as_u64().unwrap()
}

#[tokio::test]
async fn who_follows_goes_on_through_restarts_of_the_server_and_misses_nothing() {
    let mut system = System::start().await;
    let order_id = system.place().await;
    let id = order_id.to_string();
    let mut watch = Follower::start(&system, &["orders", "watch", &id, "-o", "jsonl"]);
    assert_eq!(version(&watch.line()), 1);
    // Reads no history: what it missed while it was away, only the stream can tell it.
    let tail = [
        "events", "tail", "--from", "first", "-n", "6", "-o", "jsonl",
    ];
    let mut tail = Follower::start(&system, &tail);
    assert_eq!(version(&tail.line()), 1);
    annotate(&system, order_id, 1).await;
    assert_eq!((version(&watch.line()), version(&tail.line())), (2, 2));

    let address = system
        .dashboard
        .url
        .trim_start_matches("http://")
        .to_owned();
    system.dashboard.kill();
    for number in 2..=5 {
        annotate(&system, order_id, number).await;
    }
    system.dashboard = Role::start_at(&system.env, "dashboard", &address);
    for expected in 3..=6 {
        assert_eq!(
            (version(&watch.line()), version(&tail.line())),
            (expected, expected)
        );
    }
    assert_eq!(tail.end().0, Some(0), "six, and each once");
    watch.signal("INT");
    let (code, rest, words) = watch.end();
    assert_eq!((code, rest.as_str()), (Some(0), ""), "{words}");
    assert!(
        words.contains("connection lost") && words.contains("connected again"),
        "{words}"
    );
}

#[tokio::test]
async fn a_watch_reads_from_the_history_what_the_stream_has_lost() {
    let mut system = System::start().await;
    let order_id = system.place().await;
    let id = order_id.to_string();
    let mut watch = Follower::start(&system, &["orders", "watch", &id, "-o", "jsonl"]);
    assert_eq!(version(&watch.line()), 1);
    annotate(&system, order_id, 1).await;
    assert_eq!(version(&watch.line()), 2);

    let address = system
        .dashboard
        .url
        .trim_start_matches("http://")
        .to_owned();
    system.dashboard.kill();
    annotate(&system, order_id, 2).await;
    // A stream that begins anew has none of the places that were told before.
    system.worker.kill();
    let delete = "rabbit_amqqueue:with(rabbit_misc:r(<<\"VHOST\">>, queue, <<\"orders.events.log\">>), \
                  fun(Q) -> rabbit_stream_queue:delete(Q, false, false, <<\"test\">>) end).";
    let delete = delete.replace("VHOST", system.env.vhost());
    system.env.rabbitmqctl(&["eval", &delete]).await.unwrap();
    system.succeed(&["topology", "apply"]);
    system.worker = Role::start(&system.env, "worker");
    system.dashboard = Role::start_at(&system.env, "dashboard", &address);
    assert_eq!(version(&watch.line()), 3);
    annotate(&system, order_id, 3).await;
    assert_eq!(version(&watch.line()), 4);
    watch.signal("INT");
    let (code, rest, words) = watch.end();
    assert_eq!((code, rest.as_str()), (Some(0), ""), "{words}");
    assert!(words.contains("reset: "), "{words}");
}

#[tokio::test]
async fn a_watch_with_a_goal_ends_when_it_is_reached_or_cannot_be() {
    let system = System::start().await;
    let order_id = system.place().await;
    let id = order_id.to_string();
    let watch = |goal: &str| {
        let args = ["orders", "watch", &id, "--until", goal, "-o", "jsonl"];
        let mut watch = Follower::start(&system, &args);
        assert_eq!(version(&watch.line()), 1);
        watch
    };
    let (cancelled, shipped, ended) = (watch("final"), watch("shipped"), watch("delivered"));
    ended.signal("TERM");
    assert_eq!(ended.end().0, Some(3));
    system.succeed(&[
        "commands",
        "send",
        &id,
        "cancel",
        "--data",
        r#"{"reason":"test"}"#,
        "--wait",
        "30",
    ]);
    let (code, rest, words) = cancelled.end();
    assert_eq!(code, Some(0), "{words}");
    assert!(rest.contains("order.cancelled.v1"), "{rest}");
    let (code, _, words) = shipped.end();
    assert_eq!(code, Some(6), "{words}");
    assert!(words.contains("cancelled for good"), "{words}");

    let nobody = Uuid::now_v7().to_string();
    let missing = system.orderly(&["orders", "watch", &nobody]).output();
    assert_eq!(missing.unwrap().status.code(), Some(5));
}

#[tokio::test]
async fn all_orders_are_watched_by_status_and_type() {
    let system = System::start().await;
    let args = [
        "orders",
        "watch",
        "--type",
        "annotated",
        "--status",
        "placed",
        "-o",
        "json",
    ];
    let watch = Follower::start(&system, &args);
    let every = Follower::start(&system, &["events", "tail", "-n", "2", "-o", "jsonl"]);
    until("both streams are open", async || {
        system.metric("orderly_sse_clients").await == Some(2.0)
    })
    .await;
    let order_id = system.place().await;
    annotate(&system, order_id, 1).await;
    let (code, events, words) = every.end();
    assert_eq!(code, Some(0), "{words}");
    let positions: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["position"].take())
        .collect();
    assert_eq!(positions.len(), 2, "{events}");

    // From the first event on: the second one again.
    let from = positions[0].as_str().unwrap();
    let args = ["events", "tail", "--from", from, "-n", "1", "-o", "jsonl"];
    let again: Value = serde_json::from_str(&system.succeed(&args)).unwrap();
    assert_eq!(
        (&again["type"], &again["position"]),
        (&"order.annotated.v1".into(), &positions[1])
    );
    let first = [
        "events", "tail", "--from", "first", "--type", "placed", "--order",
    ];
    let id = order_id.to_string();
    let first = system.succeed(&[&first[..], &[&id, "-n", "1"]].concat());
    assert!(first.contains("placed") && first.contains(&id), "{first}");

    watch.signal("INT");
    let (code, shown, words) = watch.end();
    assert_eq!(code, Some(0), "{words}");
    let shown: Vec<Value> = serde_json::from_str(&shown).unwrap();
    let types: Vec<_> = shown.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["order.annotated.v1"]);
}

#[tokio::test]
async fn a_reader_that_has_read_enough_is_no_failure() {
    let system = System::start().await;
    system.place().await;
    for args in [
        &["orders", "list", "-o", "jsonl"][..],
        &["orders", "list"],
        &["stock", "show"],
        &["verify"],
        &["completions", "bash"],
    ] {
        // `orderly … | head -0`, whose end is there before the first line.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = system
            .orderly(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output();
        let output = output.unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), words.as_ref()),
            (Some(0), ""),
            "{args:?}"
        );
    }
    system
        .env
        .psql(&["update stock set on_hand = on_hand + 1"])
        .await
        .unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let verify = system.orderly(&["verify"]).stdout(writer).status();
    assert_eq!(
        verify.unwrap().code(),
        Some(1),
        "a difference is still told"
    );
}
