//! `orderly audit`: whatever was done to the chain behind its back is found and named.

use std::process::Output;

use orderly_devenv::{TestEnv, test_env};
use serde_json::Value;

use crate::live::Follower;
use crate::role::Role;
use crate::system::{orderly, success};

/// A database with a migration and four keys in its audit.
async fn five_entries() -> TestEnv {
    let env = test_env().await;
    success(orderly(&env, &["migrate"]).output().unwrap());
    for name in ["a", "b", "c", "d"] {
        create_key(&env, name);
    }
    env
}

fn create_key(env: &TestEnv, name: &str) -> String {
    let args = [
        "keys", "create", "--name", name, "--scopes", "all", "--reason", "why",
    ];
    success(orderly(env, &args).output().unwrap())
        .trim()
        .to_owned()
}

/// The exit code, and the report.
fn verify(env: &TestEnv, args: &[&str]) -> (Option<i32>, Value) {
    let args = [&["audit", "verify", "-o", "json"], args].concat();
    let Output {
        status,
        stdout,
        stderr,
    } = orderly(env, &args).output().unwrap();
    let report = serde_json::from_slice(&stdout);
    (
        status.code(),
        report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr))),
    )
}

/// Changes of one cell of entry 3.
const CELLS: [&str; 11] = [
    "at = at + interval '1 microsecond'",
    "actor = actor || ' '",
    "producer = gen_random_uuid(), key_id = 'k'",
    "action = 'key.made'",
    "target = 'key/x'",
    "before = '{}'",
    "after = after || '{\"name\": \"x\"}'",
    "reason = null",
    "request_id = ''",
    "result = 'refused', code = 'x'",
    "hash = sha256('')",
];

/// What else is done, whether a head that was written down is needed to see it, the entry that is named, and how.
const DAMAGES: [(&str, bool, i64, &str); 9] = [
    (
        "update audit set previous_hash = sha256('') where audit_id = 3",
        false,
        3,
        "hash of entry 2",
    ),
    (
        "update audit set previous_hash = sha256('') where audit_id = 1",
        false,
        1,
        "not the first",
    ),
    (
        "delete from audit where audit_id = 3",
        false,
        3,
        "entry 3 is missing",
    ),
    (
        "delete from audit where audit_id in (2, 3)",
        false,
        2,
        "entries 2 to 3 are missing",
    ),
    (
        "delete from audit where audit_id = 1",
        false,
        1,
        "entry 1 is missing",
    ),
    // One is put in, and those behind it move up.
    (
        "update audit set audit_id = audit_id + 1000 where audit_id > 3;
         insert into audit (select (jsonb_populate_record(audit, '{\"audit_id\": 4}')).* from audit where audit_id = 3);
         update audit set audit_id = audit_id - 999 where audit_id > 1000",
        false,
        4,
        "hash of entry 3",
    ),
    // One is put behind the last.
    (
        "insert into audit (select (jsonb_populate_record(audit,
             jsonb_build_object('audit_id', 6, 'previous_hash', hash))).* from audit where audit_id = 5)",
        false,
        6,
        "it was changed",
    ),
    (
        "delete from audit where audit_id = 5",
        true,
        5,
        "the end was cut off",
    ),
    ("truncate audit", true, 1, "the end was cut off"),
];

#[tokio::test]
async fn what_was_done_to_the_chain_is_found_and_named() {
    let env = five_entries().await;
    let (code, whole) = verify(&env, &[]);
    assert_eq!(
        (code, &whole["entries"], &whole["fault"]),
        (Some(0), &5.into(), &Value::Null)
    );
    let head = whole["head"]["hash"].as_str().unwrap();
    let noted = ["--head", head];
    env.psql(&["create table kept as select * from audit"])
        .await
        .unwrap();
    let cells = CELLS.map(|cell| {
        let change = format!("update audit set {cell} where audit_id = 3");
        (change, false, 3, "it was changed")
    });
    let others = DAMAGES.map(|(damage, noted, id, what)| (damage.to_owned(), noted, id, what));
    for (damage, needs_head, audit_id, what) in cells.into_iter().chain(others) {
        env.psql(&[&format!("alter table audit disable trigger all; {damage}")])
            .await
            .unwrap();
        assert_eq!(
            verify(&env, &[]).0,
            Some(i32::from(!needs_head)),
            "{damage}"
        );
        let (code, report) = verify(&env, &noted);
        assert_eq!(code, Some(1), "{damage}: {report}");
        assert_eq!(report["fault"]["audit_id"], audit_id, "{damage}: {report}");
        let told = report["fault"]["what"].as_str().unwrap();
        assert!(told.contains(what), "{damage}: {told}");
        env.psql(&["truncate audit; insert into audit select * from kept"])
            .await
            .unwrap();
    }
    let from = ["--from", "5"];
    for args in [&noted[..], &from, &[noted, from].concat()] {
        assert_eq!(verify(&env, args).0, Some(0), "{args:?}");
    }
    let (code, report) = verify(&env, &["--from", "99"]);
    assert_eq!((code, &report["fault"]["audit_id"]), (Some(1), &98.into()));
}

#[tokio::test]
async fn a_head_that_was_written_down_stays_in_the_chain() {
    let env = five_entries().await;
    let (_, before) = verify(&env, &[]);
    let head = before["head"]["hash"].as_str().unwrap();
    create_key(&env, "e");
    let (code, after) = verify(&env, &["--head", head]);
    assert_eq!(code, Some(0));
    assert_ne!(after["head"], before["head"]);
}

#[tokio::test]
async fn who_speaks_to_the_database_itself_is_told_as_user_and_host() {
    let env = five_entries().await;
    success(orderly(&env, &["migrate"]).output().unwrap());
    let apply = [
        "topology",
        "apply",
        "--shards",
        "1",
        "--settle-seconds",
        "0",
    ];
    for _ in 0..2 {
        success(orderly(&env, &apply).output().unwrap());
    }
    let actions = "select string_agg(action || ' ' || coalesce(reason, '-'), ', ' order by audit_id) from audit";
    assert_eq!(
        env.psql(&[actions]).await.unwrap().trim(),
        "schema.migrate -, key.create why, key.create why, key.create why, key.create why, topology.apply -",
        "what found nothing to do leaves no entry"
    );
    let actors = "select distinct actor || ' ' || coalesce(key_id, 'no key') from audit";
    let actor = env.psql(&[actors]).await.unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim().split('.').next().unwrap();
    let told = actor.trim().strip_suffix(&format!("@{host} no key"));
    assert!(told.is_some_and(|user| !user.is_empty()), "{actor}");
}

#[tokio::test]
async fn who_follows_the_audit_hears_what_is_done_next() {
    let env = five_entries().await;
    success(
        orderly(
            &env,
            &[
                "topology",
                "apply",
                "--shards",
                "1",
                "--settle-seconds",
                "0",
            ],
        )
        .output()
        .unwrap(),
    );
    let key = create_key(&env, "e");
    let dashboard = Role::start(&env, "dashboard");
    dashboard.ready(&reqwest::Client::new()).await;
    let tail = |args: &[&str]| {
        let mut command = orderly(&env, &[&["audit", "tail"], args].concat());
        command
            .env("ORDERLY_URL", &dashboard.url)
            .env("ORDERLY_API_KEY", &key);
        command
    };
    let newest = success(tail(&["-n", "2"]).output().unwrap());
    let lines: Vec<&str> = newest.lines().collect();
    assert_eq!(lines.len(), 3, "{newest}");
    assert!(
        lines[1].contains("topology.apply") && lines[2].contains("key.create"),
        "{newest}"
    );

    let follow = [
        "--follow",
        "-n",
        "1",
        "--action",
        "key.create",
        "-o",
        "jsonl",
    ];
    let mut follower = Follower::of(&mut tail(&follow));
    assert_eq!(follower.line()["audit_id"], 7);
    for id in [8, 9] {
        create_key(&env, "f");
        let entry = follower.line();
        assert_eq!(
            (&entry["audit_id"], &entry["reason"]),
            (&id.into(), &"why".into())
        );
    }
    follower.signal("INT");
    assert_eq!(follower.end().0, Some(0));
}
