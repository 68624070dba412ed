//! A whole Orderly for one test: every role a process of its own, on a fresh database and virtual host.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use orderly_devenv::{TestEnv, test_env};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::role::Role;

/// For anything that must happen at all: a shared machine that builds beside the tests is slow, never this slow.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// The system under test.
pub(crate) struct System {
    pub(crate) env: TestEnv,
    pub(crate) ingress: Role,
    pub(crate) dashboard: Role,
    pub(crate) worker: Role,
    pub(crate) relay: Role,
    pub(crate) payments: Role,
    pub(crate) key: String,
    pub(crate) http: Client,
}

impl System {
    /// Migrated, declared, every role ready, a key that may do everything.
    pub(crate) async fn start() -> Self {
        Self::start_with_shards("4").await
    }

    /// The same with so many shards.
    pub(crate) async fn start_with_shards(shards: &str) -> Self {
        let env = test_env().await;
        let base = Setup { env: &env };
        base.succeed(&["migrate"]);
        base.succeed(&[
            "topology",
            "apply",
            "--settle-seconds",
            "2",
            "--shards",
            shards,
        ]);
        let key = base.succeed(&["keys", "create", "--name", "test", "--scopes", "all"]);
        let role = |name| Role::start(&env, name);
        let system = Self {
            ingress: role("ingress"),
            dashboard: role("dashboard"),
            worker: role("worker"),
            relay: role("relay"),
            payments: role("payments"),
            key: key.trim().to_owned(),
            http: Client::new(),
            env: env.clone(),
        };
        for role in [
            &system.ingress,
            &system.dashboard,
            &system.worker,
            &system.relay,
            &system.payments,
        ] {
            role.ready(&system.http).await;
        }
        system
    }

    /// A command of `orderly` against this system.
    pub(crate) fn orderly(&self, args: &[&str]) -> Command {
        let mut command = orderly(&self.env, args);
        command
            .env("ORDERLY_URL", &self.ingress.url)
            .env("ORDERLY_DASHBOARD_URL", &self.dashboard.url)
            .env("ORDERLY_API_KEY", &self.key);
        command
    }

    /// Its output, which must be a success.
    pub(crate) fn succeed(&self, args: &[&str]) -> String {
        success(self.orderly(args).output().unwrap())
    }

    /// Nothing differs from the replay of all events.
    pub(crate) fn verify(&self) {
        self.succeed(&["verify"]);
    }

    /// Sends a command and gives the answer.
    pub(crate) async fn send(
        &self,
        order_id: Uuid,
        body: &Value,
        key: &str,
        wait: bool,
    ) -> Response {
        let url = format!("{}/v1/orders/{order_id}/commands", self.ingress.url);
        let request = self
            .http
            .post(url)
            .bearer_auth(&self.key)
            .header("Idempotency-Key", key)
            .json(body);
        let request = if wait {
            request.header("Prefer", "wait=30")
        } else {
            request
        };
        request.send().await.unwrap()
    }

    /// Places an order of one mug and waits until that is applied.
    pub(crate) async fn place(&self) -> Uuid {
        self.succeed(&[
            "stock",
            "adjust",
            "MUG",
            "1",
            "--key",
            &Uuid::now_v7().to_string(),
        ]);
        let order_id = Uuid::now_v7();
        let lines = json!([{"sku": "MUG", "quantity": 1, "unit_price_minor": 1250}]);
        let body = json!({"customer_id": "c-1", "currency": "EUR", "lines": lines});
        let url = format!("{}/v1/orders/{order_id}", self.ingress.url);
        let request = self
            .http
            .put(url)
            .bearer_auth(&self.key)
            .header("Prefer", "wait=30")
            .json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(
            answer.status(),
            StatusCode::CREATED,
            "{}",
            answer.text().await.unwrap()
        );
        order_id
    }

    /// The order's version, 0 before it exists.
    pub(crate) async fn version(&self, order_id: Uuid) -> u64 {
        let order = self.read(&format!("/v1/orders/{order_id}")).await;
        order.get("version").and_then(Value::as_u64).unwrap_or(0)
    }

    /// All its events, oldest first.
    pub(crate) async fn events(&self, order_id: Uuid) -> Vec<Value> {
        let mut events = Vec::new();
        let mut next = Some(format!("/v1/orders/{order_id}/events?limit=200"));
        while let Some(path) = next {
            let page = self.read(&path).await;
            events.extend(page["events"].as_array().unwrap().iter().cloned());
            next = page["next"].as_str().map(str::to_owned);
        }
        events
    }

    /// A figure of the dashboard's, without labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let request = self.http.get(format!("{}/metrics", self.dashboard.url));
        let text = request.send().await.unwrap().text().await.unwrap();
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(value)
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        let request: RequestBuilder = self.http.get(format!("{}{path}", self.dashboard.url));
        request
            .bearer_auth(&self.key)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }
}

/// Before there are roles.
struct Setup<'a> {
    env: &'a TestEnv,
}

impl Setup<'_> {
    fn succeed(&self, args: &[&str]) -> String {
        success(orderly(self.env, args).output().unwrap())
    }
}

/// The program, with the servers of this test and nothing of the developer's own settings.
pub(crate) fn orderly(env: &TestEnv, args: &[&str]) -> Command {
    let mut command = bare(args);
    command
        .env("ORDERLY_DATABASE_URL", &env.database_url)
        .env("ORDERLY_AMQP_URL", &env.amqp_url);
    command
}

/// The program without any settings.
pub(crate) fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderly"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ORDERLY_")) {
        command.env_remove(name);
    }
    command.args(args).env("ORDERLY_DATA_DIR", "/nonexistent");
    command
}

/// stdout of a program that must have succeeded.
pub(crate) fn success(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}

/// Waits for a fact, with a limit.
pub(crate) async fn until(what: &str, mut fact: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !fact().await {
        assert!(
            Instant::now() < limit,
            "not within {} s: {what}",
            LIMIT.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// The sample that ships with this crate.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retail-sample.csv")
}
