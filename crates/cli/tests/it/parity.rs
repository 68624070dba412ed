//! What the HTTP API can do, the command line can: every route has a command that calls it, and no command calls anything else.
//!
//! The routes are read from the sources of the roles, the calls are seen by servers that stand in for them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::Request,
    http::{Method, StatusCode, Uri},
};
use orderly_protocol::api_key;
use serde_json::json;
use tokio::net::TcpListener;

use crate::system::{bare, until};

/// The page and what every listener has: not for commands.
const NOT_FOR_COMMANDS: [&str; 6] = [
    "/",
    "/assets/{edition}/{file}",
    "/session",
    "/livez",
    "/readyz",
    "/metrics",
];

/// Commands that speak to the database, since the first key can come from nowhere else.
const DIRECT: [(&str, &str); 3] = [
    ("GET /v1/keys", "keys list"),
    ("POST /v1/keys", "keys create"),
    ("DELETE /v1/keys/{key_id}", "keys revoke"),
];

const ORDER: &str = "00000000-0000-0000-0000-000000000001";

/// Every other route, and a command that calls it.
const CALLS: [(&str, &str); 41] = [
    ("POST /v1/orders", "commands send new place"),
    ("PUT /v1/orders/{order_id}", "commands send ORDER place"),
    (
        "POST /v1/orders/{order_id}/commands",
        "commands send ORDER pay",
    ),
    ("POST /v1/commands/batch", "commands batch /dev/null"),
    ("GET /v1/commands/{command_id}", "commands show ORDER"),
    ("GET /v1/orders", "orders list"),
    ("GET /v1/orders/{order_id}", "orders show ORDER"),
    (
        "GET /v1/orders/{order_id}/events",
        "orders show ORDER --events",
    ),
    (
        "POST /v1/orders/{order_id}/pause",
        "orders pause ORDER --reason r",
    ),
    (
        "POST /v1/orders/{order_id}/resume",
        "orders resume ORDER --reason r",
    ),
    ("GET /v1/events", "events tail"),
    ("GET /v1/stock", "stock show"),
    ("GET /v1/stock/{sku}", "stock show MUG"),
    ("PUT /v1/stock/{sku}", "stock set MUG 1"),
    ("POST /v1/stock/{sku}/adjustments", "stock adjust MUG 1"),
    ("GET /v1/shards", "shards list"),
    ("POST /v1/shards/plan", "shards plan 6"),
    ("POST /v1/shards/resize", "shards resize 6"),
    ("POST /v1/shards/resize/abort", "shards resize --abort"),
    ("POST /v1/shards/{shard}/pause", "shards pause 1 --reason r"),
    ("POST /v1/shards/{shard}/resume", "shards resume 1"),
    (
        "POST /v1/workers/{worker}/drain",
        "shards drain w --reason r",
    ),
    ("POST /v1/workers/{worker}/resume", "shards drain w --undo"),
    ("POST /v1/pause", "pause --reason r"),
    ("POST /v1/resume", "resume"),
    ("GET /v1/scaling", "scaling"),
    ("GET /v1/audit", "audit tail"),
    ("GET /v1/dead-letters", "dead list"),
    ("GET /v1/dead-letters/{id}", "dead show 7"),
    ("POST /v1/dead-letters/{id}/retry", "dead retry 7"),
    (
        "POST /v1/dead-letters/{id}/edit",
        "dead repair 7 --envelope {} --reason r",
    ),
    (
        "POST /v1/dead-letters/{id}/discard",
        "dead discard 7 --reason r",
    ),
    ("GET /v1/lanes", "lanes list"),
    ("GET /v1/lanes/{order_id}", "lanes show ORDER"),
    (
        "POST /v1/lanes/{order_id}/retry",
        "lanes retry ORDER --head ORDER --reason r",
    ),
    (
        "POST /v1/lanes/{order_id}/skip",
        "lanes skip ORDER --head ORDER --reason r --yes",
    ),
    (
        "POST /v1/lanes/{order_id}/edit",
        "lanes edit ORDER pay --head ORDER --reason r --yes",
    ),
    (
        "POST /v1/lanes/{order_id}/discard",
        "lanes discard ORDER --head ORDER --reason r --yes",
    ),
    (
        "POST /v1/lanes/retry",
        "lanes retry --fingerprint f --reason r",
    ),
    (
        "POST /v1/lanes/skip",
        "lanes skip --fingerprint f --reason r --yes",
    ),
    (
        "POST /v1/lanes/discard",
        "lanes discard --fingerprint f --reason r --yes",
    ),
];

const METHODS: [&str; 6] = ["get", "post", "put", "delete", "patch", "any"];

/// Which listener has a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Ingress,
    Dashboard,
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder),
    ];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    files
}

/// The text up to the parenthesis that closes one which is open before it.
fn up_to_its_end(text: &str) -> &str {
    let mut open = 1;
    let end = text.find(|c| {
        open += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        open == 0
    });
    &text[..end.unwrap()]
}

/// `METHOD path` of every route in a file. What cannot be read here cannot be written there.
fn routes_of(file: &Path, text: &str) -> Vec<String> {
    let file = file.display();
    for other in [".nest(", ".route_service(", ".fallback_service("] {
        assert!(!text.contains(other), "{file}: {other} hides routes");
    }
    let mut found = Vec::new();
    for (at, begin) in text.match_indices(".route(") {
        let route = up_to_its_end(&text[at + begin.len()..]);
        let path = route
            .trim_start()
            .strip_prefix('"')
            .and_then(|it| it.split_once('"'));
        let (path, handlers) = path.unwrap_or_else(|| panic!("{file}: no literal path: {route}"));
        // `post_one` is a `post` of that file.
        let methods = handlers.split('(').filter_map(|before| {
            let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = word.into_iter().next()?.split('_').next()?;
            METHODS.into_iter().find(|method| *method == name)
        });
        let before = found.len();
        found.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
        assert!(found.len() > before, "{file}: no method of {path} is seen");
    }
    found
}

/// Every route for commands, and where it is.
fn routes() -> BTreeSet<(String, Role)> {
    let mut found = BTreeSet::new();
    for (folder, role) in [
        ("ingress/src", Role::Ingress),
        ("dashboard/src", Role::Dashboard),
        ("http/src", Role::Dashboard),
        ("worker/src", Role::Dashboard),
        ("relay/src", Role::Dashboard),
        ("payments/src", Role::Dashboard),
        ("cli/src", Role::Dashboard),
    ] {
        for (file, text) in sources(folder) {
            let routes = routes_of(&file, &text).into_iter();
            found.extend(routes.map(|route| (route, role)));
        }
    }
    found.retain(|(route, _)| {
        let (_, path) = route.split_once(' ').unwrap();
        !NOT_FOR_COMMANDS.contains(&path)
    });
    found
}

/// Whether a path is one of a route, where `{…}` of either stands for any segment.
fn is_of(path: &str, route: &str) -> bool {
    let is_any = |segment: &str| segment.starts_with('{');
    let (path, route) = (path.split('/'), route.split('/'));
    path.clone().count() == route.clone().count()
        && path
            .zip(route)
            .all(|(a, b)| a == b || is_any(a) || is_any(b))
}

/// The route of a call: the one with the fewest places for anything.
fn route_of<'a>(call: &str, routes: &'a BTreeSet<(String, Role)>) -> Option<&'a (String, Role)> {
    let fitting = routes.iter().filter(|(route, _)| is_of(call, route));
    fitting.min_by_key(|(route, _)| route.matches('{').count())
}

#[test]
fn every_route_has_a_command() {
    let named: BTreeSet<&str> = CALLS
        .iter()
        .chain(&DIRECT)
        .map(|(route, _)| *route)
        .collect();
    let routes = routes();
    let served: BTreeSet<&str> = routes.iter().map(|(route, _)| route.as_str()).collect();
    let without: Vec<_> = served.difference(&named).collect();
    assert!(without.is_empty(), "routes without a command: {without:?}");
    let gone: Vec<_> = named.difference(&served).collect();
    assert!(gone.is_empty(), "there are no such routes: {gone:?}");
}

#[test]
fn every_path_in_the_sources_of_the_commands_is_served() {
    let routes = routes();
    let mut seen = 0;
    for (file, text) in sources("cli/src") {
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.starts_with("//") && !line.contains("starts_with(")) {
            for (at, _) in line.match_indices("\"/v1/") {
                let literal = line[at + 1..].split('"').next().unwrap();
                let path = literal.split('?').next().unwrap();
                // `/v1/orders{}`: what follows is the query.
                let path = match path.strip_suffix("{}").or(path.strip_suffix("{query}")) {
                    Some(before) if !before.ends_with('/') => before,
                    _ => path,
                };
                let is_served = routes.iter().any(|(route, _)| {
                    let (_, route) = route.split_once(' ').unwrap();
                    is_of(path, route)
                });
                assert!(is_served, "{}: no route serves {path}", file.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

type Heard = Arc<Mutex<Vec<(String, Role)>>>;

/// Hears every call, and knows nothing.
async fn stand_in(role: Role, heard: Heard) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = async move |method: Method, uri: Uri, _: Request| {
        let call = format!("{method} {}", uri.path());
        heard.lock().unwrap().push((call, role));
        let problem = json!({"code": "not_found", "detail": "it is not there"});
        (StatusCode::NOT_FOUND, Json(problem))
    };
    let serving = axum::serve(listener, Router::new().fallback(answer));
    tokio::spawn(async move { serving.await.unwrap() });
    url
}

#[tokio::test]
async fn each_command_calls_its_route_where_it_is_served() {
    let routes = routes();
    let heard = Heard::default();
    let ingress = stand_in(Role::Ingress, Arc::clone(&heard)).await;
    let dashboard = stand_in(Role::Dashboard, Arc::clone(&heard)).await;
    let key = api_key::generate("dev").unwrap().token;
    for (route, words) in CALLS {
        heard.lock().unwrap().clear();
        let words: Vec<_> = words
            .split(' ')
            .map(|word| if word == "ORDER" { ORDER } else { word })
            .collect();
        let mut command = bare(&words)
            .env("ORDERLY_URL", &ingress)
            .env("ORDERLY_DASHBOARD_URL", &dashboard)
            .env("ORDERLY_API_KEY", &key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until(&format!("{words:?} calls {route}"), async || {
            let heard = heard.lock().unwrap();
            let called = heard.iter().filter_map(|(call, _)| route_of(call, &routes));
            called
                .map(|(route, _)| route.as_str())
                .any(|it| it == route)
                || command.try_wait().unwrap().is_some()
        })
        .await;
        command.kill().unwrap();
        command.wait().unwrap();
        let heard = heard.lock().unwrap().clone();
        for (call, at) in &heard {
            let route = route_of(call, &routes);
            let (_, role) = route.unwrap_or_else(|| panic!("{words:?}: nothing serves {call}"));
            assert_eq!(at, role, "{words:?}: {call} went elsewhere");
        }
        let called = heard.iter().filter_map(|(call, _)| route_of(call, &routes));
        let called: Vec<_> = called.map(|(route, _)| route.as_str()).collect();
        assert!(
            called.contains(&route),
            "{words:?} called {called:?}, not {route}"
        );
    }
}
