//! What commands print, word by word: `UPDATE_EXPECT=1 cargo xtask test -p orderly-cli` writes the files under
//! `tests/snapshots` anew, and `git diff` shows what has changed for people and for scripts.

use std::path::Path;

use expect_test::expect_file;

use crate::system::{System, bare, sample, success, until};

/// Compares with a file of `tests/snapshots`.
fn expect(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    expect_file![folder.join(name)].assert_eq(text);
}

/// The help of a command and of all below it.
fn help(path: &[&str]) -> String {
    let text = success(bare(path).arg("--help").output().unwrap());
    let below: Vec<String> = text
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    let below = below
        .iter()
        .map(|name| help(&[path, &[name.as_str()]].concat()));
    format!(
        "$ orderly {} --help\n{text}\n{}",
        path.join(" "),
        below.collect::<String>()
    )
    .replace("orderly  --help", "orderly --help")
}

#[test]
fn every_command_explains_itself_examples_first() {
    let text = help(&[]);
    let helps: Vec<&str> = text.split("$ orderly ").skip(1).collect();
    assert!(helps.len() > 30, "{}", helps.len());
    for help in helps {
        let first = help.lines().nth(1).unwrap();
        assert!(
            first == "Examples:" || first == "Example:",
            "{help}\nbegins without examples"
        );
        assert!(help.contains("Usage: orderly"), "{help}");
    }
    // The log filters that exist are none of the help's business; the version is.
    expect(
        "help.txt",
        &text.replace(env!("CARGO_PKG_VERSION"), "VERSION"),
    );
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = success(bare(&["completions", shell]).output().unwrap());
        assert!(
            script.contains("healthcheck") && script.contains("until"),
            "{shell}"
        );
    }
}

const PRODUCER: &str = "00000000-0000-0000-0000-00000000000a";
const ORDERS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "00000000-0000-0000-0000-000000000003",
];

/// A system with three orders in it, always the same, and a key that always has the same producer.
struct Scene {
    system: System,
    key: String,
    key_id: String,
}

impl Scene {
    async fn set() -> Self {
        let system = System::start().await;
        let make = [
            "keys",
            "create",
            "--name",
            "shop",
            "--scopes",
            "all",
            "--producer",
            PRODUCER,
        ];
        let key = system.succeed(&make).trim().to_owned();
        let key_id = key.split('_').nth(2).unwrap().to_owned();
        let scene = Self {
            system,
            key,
            key_id,
        };
        scene.print(&["stock", "set", "MUG-RED", "10", "--key", "stock-1"]);
        scene.print(&["stock", "set", "LAMP/9", "5", "--key", "stock-2"]);
        let place = |customer: &str, sku: &str, quantity: u32| {
            format!(
                r#"{{"customer_id":"{customer}","currency":"EUR","lines":[{{"sku":"{sku}","quantity":{quantity},"unit_price_minor":1250}}]}}"#
            )
        };
        scene.send(ORDERS[0], "place", &place("c-1", "MUG-RED", 2), 0);
        scene.send(ORDERS[1], "place", &place("c-2", "LAMP/9", 1), 0);
        scene.send(ORDERS[2], "place", &place("c-1", "MUG-RED", 1), 0);
        scene.send(ORDERS[1], "hold", r#"{"reason":"fraud check"}"#, 0);
        scene.send(ORDERS[2], "cancel", r#"{"reason":"changed my mind"}"#, 0);
        scene
    }

    /// Sends a command under a key of its own, so that its id is always the same.
    fn send(&self, order: &str, action: &str, data: &str, code: i32) -> String {
        let key = format!("{action}/{order}");
        let args = [
            "commands", "send", order, action, "--data", data, "--key", &key, "--wait", "30",
        ];
        self.run(&args, code)
    }

    fn print(&self, args: &[&str]) -> String {
        self.run(args, 0)
    }

    /// Both outputs of a command and how it ended, without what is different each time.
    fn run(&self, args: &[&str], code: i32) -> String {
        let mut command = self.system.orderly(args);
        let output = command.env("ORDERLY_API_KEY", &self.key).output().unwrap();
        let (out, err) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
        let text = format!("$ orderly {}\n{out}{}\n", args.join(" "), words(&err));
        same_requests(&same_hashes(&same_times(&text)))
            .replace(&self.key_id, "4hJ2kQ9xT0aB")
            .replace(sample().to_str().unwrap(), "FILE")
    }

    /// The same in all three forms.
    fn forms(&self, args: &[&str]) -> String {
        ["table", "json", "jsonl"]
            .map(|form| self.print(&[args, &["-o", form]].concat()))
            .concat()
    }
}

/// What went to stderr, told apart from the data.
fn words(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("! {line}\n")).collect();
    lines.concat()
}

/// Every time becomes the same one, of the same length.
fn same_times(text: &str) -> String {
    const TIME: &str = "2026-01-01T00:00:00.000000Z";
    let is_time = |at: usize| {
        let found = text.as_bytes().get(at..at + TIME.len());
        found.is_some_and(|found| {
            found.iter().zip(TIME.bytes()).all(|(found, like)| {
                if like.is_ascii_digit() {
                    found.is_ascii_digit()
                } else {
                    *found == like
                }
            })
        })
    };
    let (mut same, mut at) = (String::new(), 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if is_time(at) {
            same.push_str(TIME);
            at += TIME.len();
        } else {
            let next = rest.chars().next().unwrap();
            same.push(next);
            at += next.len_utf8();
        }
    }
    same
}

/// Requests are named by their server, each anew.
fn same_requests(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let named = line
            .split_once("\"request_id\":")
            .and_then(|(before, rest)| {
                let (blank, rest) = rest.split_once('"')?;
                let (_, after) = rest.split_once('"')?;
                Some(format!("{before}\"request_id\":{blank}\"REQUEST\"{after}"))
            });
        named.unwrap_or_else(|| line.to_owned())
    });
    lines.collect()
}

/// Hashes cover times, so every hash becomes the same one.
fn same_hashes(text: &str) -> String {
    let mut same = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        if word.len() == 64 {
            same.push_str("5a".repeat(32).as_str());
            same.push_str(&part[64..]);
        } else {
            same.push_str(part);
        }
    }
    same
}

#[tokio::test]
async fn data_commands_print_tables_json_and_lines() {
    let scene = Scene::set().await;
    let [first, second, third] = ORDERS;
    let orders = [
        scene.forms(&["orders", "list"]),
        scene.print(&[
            "orders",
            "list",
            "--status",
            "cancelled",
            "--customer",
            "c-1",
            "--sku",
            "MUG-RED",
        ]),
        scene.print(&["orders", "list", "--limit", "1"]),
        scene.forms(&["orders", "list", "--customer", "nobody"]),
        scene.forms(&["orders", "show", second]),
        scene.forms(&["orders", "show", third, "--events"]),
        scene.print(&["orders", "watch", third, "--until", "final"]),
        scene.print(&["orders", "watch", third, "--until", "placed", "--history"]),
        scene.run(&["orders", "watch", third, "--until", "delivered"], 6),
        scene.run(
            &["orders", "show", "00000000-0000-0000-0000-00000000000f"],
            5,
        ),
    ];
    expect("orders.txt", &orders.concat());

    let commands = [
        scene.send(first, "pay", r#"{"method":"card"}"#, 0),
        scene.send(first, "pay", r#"{"method":"card"}"#, 0),
        scene.send(third, "deliver", "{}", 6),
        scene.send(third, "fly", "{}", 2),
        scene.send("00000000-0000-0000-0000-00000000000f", "deliver", "{}", 5),
        scene.run(&["commands", "send", first, "ship", "--data", "{"], 2),
    ];
    expect("commands.txt", &commands.concat());

    let stock = [
        scene.forms(&["stock", "show"]),
        scene.print(&["stock", "show", "LAMP/9"]),
        scene.print(&[
            "stock", "set", "LAMP/9", "7", "--key", "stock-3", "--reason", "counted",
        ]),
        scene.print(&["stock", "set", "LAMP/9", "7", "--key", "stock-3"]),
        scene.run(&["stock", "set", "LAMP/9", "0", "--key", "stock-4"], 6),
        scene.run(&["stock", "adjust", "LAMP/9", "-9", "--key", "stock-5"], 6),
        scene.run(&["stock", "show", "NOTHING"], 5),
    ];
    expect("stock.txt", &stock.concat());

    let letters = "insert into dead_letters (body_hash, body, headers, reason, detail, generation, shard, received_at)
        select sha256(body), body, '{\"schema\": \"order-commands.v1\"}', 'unreadable', 'not a command message', 1, 2, now()
        from unnest(array['{\"hello\":\"world\"}', '\\x00ff']::bytea[]) as body";
    scene.system.env.psql(&[letters]).await.unwrap();
    let repair = [
        "dead",
        "repair",
        "1",
        "--order",
        second,
        "--type",
        "annotate",
        "--data",
        r#"{"key":"gift","value":"yes"}"#,
        "--reason",
        "the shop's bug",
    ];
    let dead = [
        scene.forms(&["dead", "list"]),
        scene.forms(&["dead", "show", "1"]),
        scene.print(&["dead", "show", "2"]),
        scene.print(&[&repair[..], &["--dry-run"]].concat()),
        scene.print(&repair),
        scene.run(&repair, 6),
        scene.run(&["dead", "retry", "2"], 6),
        scene.forms(&["dead", "discard", "2", "--reason", "a test", "--dry-run"]),
        scene.print(&["dead", "discard", "2", "--reason", "a test"]),
        scene.print(&["dead", "list", "--state", "all"]),
        scene.run(&["dead", "show", "3"], 5),
        scene.run(
            &["dead", "repair", "1", "--order", second, "--reason", "x"],
            2,
        ),
        scene.print(&["audit", "tail", "--action", "dead"]),
    ];
    expect("dead.txt", &dead.concat());

    let audit = [
        scene.print(&["audit", "tail", "--actor", "shop", "-n", "4"]),
        scene.forms(&["audit", "tail", "--target", "stock/LAMP/9", "-n", "1"]),
        scene.print(&["audit", "tail", "--action", "lane", "-o", "json"]),
        scene.forms(&["audit", "verify"]),
        scene.run(&["audit", "verify", "--head", &"0f".repeat(32)], 1),
        scene.run(&["audit", "verify", "--from", "99"], 1),
    ];
    expect("audit.txt", &audit.concat());

    scaling(&scene).await;
}

async fn scaling(scene: &Scene) {
    // What the orders of the scene did is over.
    until("it is calm", async || {
        let calm = scene.system.read("/v1/scaling").await;
        // Its medians go back 15 s: they may have seen the start of the system.
        calm["messages_per_second"] == 0.0
            && calm["busy"] == 0.0
            && calm["workers"] == 1
            && calm["wanted_workers"] == 1
    })
    .await;
    expect("scaling.txt", &scene.forms(&["scaling"]));
}

#[tokio::test]
async fn the_tools_of_operators_print_tables_json_and_lines() {
    let scene = Scene::set().await;
    let key = scene.key_id.clone();
    // The key of the system itself has an id that is different each time, and comes first.
    let own = scene.system.key.split('_').nth(2).unwrap().to_owned();
    scene.print(&["keys", "revoke", &own, "--yes"]);
    scene
        .system
        .env
        .psql(&["delete from api_keys where name = 'test'"])
        .await
        .unwrap();
    let keys = [
        scene.forms(&["keys", "list"]),
        scene.run(&["keys", "revoke", &key], 2),
        scene.run(&["keys", "revoke", "nobody", "--yes"], 5),
        scene.print(&["keys", "revoke", &key, "--yes"]),
        scene.print(&["keys", "list"]),
    ];
    expect("keys.txt", &keys.concat());

    let topology = [
        scene.print(&["topology", "check"]),
        scene.print(&["topology", "apply"]),
    ];
    expect("topology.txt", &topology.concat());
    expect("verify.txt", &scene.forms(&["verify"]));
}

#[tokio::test]
async fn an_import_prints_what_became_of_every_line() {
    let scene = Scene::set().await;
    let file = sample();
    let import = [
        "import",
        "retail",
        file.to_str().unwrap(),
        "--seed-stock",
        "100",
    ];
    expect(
        "import.txt",
        &[scene.print(&import), scene.forms(&import)].concat(),
    );
}

#[tokio::test]
async fn lanes_print_what_waits_and_what_became_of_it() {
    let scene = Scene::set().await;
    let [first, ..] = ORDERS;
    let refuse = "create function refuse() returns trigger language plpgsql as $$
         begin
             if new.data ->> 'value' = 'poison' then raise exception 'a test' using errcode = '23514'; end if;
             return new;
         end $$;
         create trigger refuse before insert on events for each row execute function refuse();";
    scene.system.env.psql(&[refuse]).await.unwrap();
    for value in ["poison", "fine"] {
        let data = format!(r#"{{"key":"k","value":"{value}"}}"#);
        let args = [
            "commands", "send", first, "annotate", "--data", &data, "--key", value, "--wait", "1",
        ];
        scene.run(&args, 3);
    }
    let long_ago = "update lanes set parked_at = now() - interval '3 h'";
    scene.system.env.psql(&[long_ago]).await.unwrap();
    let act = |verb: &str, more: &[&str], code: i32| {
        let args = [&["lanes", verb, first, "--reason", "a test"], more].concat();
        scene.run(&args, code)
    };
    let edited = [
        "lanes",
        "edit",
        first,
        "annotate",
        "--data",
        r#"{"key":"k","value":"better"}"#,
        "--reason",
        "a test",
        "--key",
        "edit-1",
        "--yes",
    ];
    let lanes = [
        scene.print(&["lanes", "list"]),
        scene.print(&["lanes", "show", first]),
        act("retry", &["--dry-run"], 0),
        act("skip", &[], 2),
        act("skip", &["--yes", "--head", first, "--key", "skip-1"], 6),
        act("retry", &["--key", "retry-1"], 3),
        scene.print(&edited),
        scene.print(&["lanes", "list"]),
        scene.run(&["lanes", "show", first], 5),
        scene.print(&[
            "orders", "pause", first, "--reason", "a call", "--key", "pause-1",
        ]),
        scene.print(&["orders", "show", first]),
        scene.run(
            &[
                "orders", "resume", first, "--reason", "over", "--key", "resume-1",
            ],
            0,
        ),
        scene.run(
            &[
                "orders", "resume", first, "--reason", "over", "--key", "resume-2",
            ],
            6,
        ),
        scene.print(&[
            "lanes",
            "skip",
            "--fingerprint",
            "0000000000000000",
            "--reason",
            "a test",
            "--dry-run",
        ]),
    ];
    expect("lanes.txt", &lanes.concat());
    scene.print(&["verify"]);
}
