//! One ingress on a stage of its own: fresh database, fresh virtual host, and a way to take either away.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use orderly_broker::{
    BrokerConfig, CommandPublisher, Connection, GenerationSource, Layout, topology,
};
use orderly_devenv::{TestEnv, test_env};
use orderly_domain::ProducerId;
use orderly_http::{Keyring, Readiness};
use orderly_ingress::{Ingress, IngressOptions};
use orderly_protocol::api_key::{self, Scope};
use orderly_store::{Actor, NewApiKey, SessionProfile, Store, StoreOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::proxy::Proxy;
use crate::worker::Worker;

/// Far beyond what any step takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const ALL_BUT_READ: [Scope; 1] = [Scope::CommandsWrite];

pub(crate) struct Stage {
    pub(crate) env: TestEnv,
    /// Straight to the database.
    pub(crate) store: Store,
    /// Straight to the broker.
    pub(crate) connection: Connection,
    /// Between the ingress and its servers.
    pub(crate) database: Proxy,
    pub(crate) broker: Proxy,
    pub(crate) ingress: Running,
    /// Of the producer that most tests speak as.
    pub(crate) key: String,
    pub(crate) producer: ProducerId,
}

/// One ingress process.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) token: CancellationToken,
    served: JoinHandle<()>,
}

/// A request in the making.
pub(crate) struct Request<'a> {
    stage: &'a Stage,
    builder: reqwest::RequestBuilder,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with_max_length(topology::DEFAULT_MAX_LENGTH).await
    }

    /// Its one shard takes this many messages.
    pub(crate) async fn with_max_length(max_length: u32) -> Self {
        let env = test_env().await;
        let store = Store::connect(&env.database_url, &store_options())
            .await
            .unwrap();
        store.migrate().await.unwrap();
        store.create_first_generation(1, 32).await.unwrap();
        let connection = Connection::open(&BrokerConfig::new(&env.amqp_url, "test"))
            .await
            .unwrap();
        topology::declare_shared(&connection, topology::EventLog::default())
            .await
            .unwrap();
        topology::declare_generation(&connection, 1, 1, max_length)
            .await
            .unwrap();
        let database = Proxy::start(&env.database_url).await;
        let broker = Proxy::start(&env.amqp_url).await;
        let ingress = Running::start(database.url(), broker.url()).await;
        let producer = ProducerId(Uuid::new_v4());
        let key = insert_key(&store, producer, &ALL_BUT_READ).await;
        Self {
            env,
            store,
            connection,
            database,
            broker,
            ingress,
            key,
            producer,
        }
    }

    /// Another ingress process beside the first.
    pub(crate) async fn another(&self) -> Running {
        Running::start(self.database.url(), self.broker.url()).await
    }

    pub(crate) async fn worker(&self) -> Worker {
        Worker::start(&self.env, 1).await
    }

    /// A key of another producer.
    pub(crate) async fn stranger(&self, scopes: &[Scope]) -> String {
        insert_key(&self.store, ProducerId(Uuid::new_v4()), scopes).await
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Request<'_> {
        self.request("POST", path).body(&body.to_string())
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Request<'_> {
        self.request("PUT", path).body(&body.to_string())
    }

    pub(crate) fn batch(&self, lines: &[String]) -> Request<'_> {
        self.request("POST", "/v1/commands/batch").lines(lines)
    }

    pub(crate) fn get(&self, path: &str) -> Request<'_> {
        self.request("GET", path)
    }

    fn request(&self, method: &str, path: &str) -> Request<'_> {
        self.request_at(&self.ingress, method, path)
    }

    pub(crate) fn request_at(&self, ingress: &Running, method: &str, path: &str) -> Request<'_> {
        let method = method.parse().unwrap();
        let client = reqwest::Client::new();
        let url = format!("http://{}{path}", ingress.address);
        let builder = client.request(method, url).timeout(LIMIT);
        Request {
            stage: self,
            builder,
        }
    }

    pub(crate) async fn sql(&self, statement: &str) {
        self.env.psql(&[statement]).await.unwrap();
    }
}

impl Request<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn wait(self, seconds: u32) -> Self {
        self.header("prefer", &format!("wait={seconds}"))
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.builder = self.builder.body(body.to_owned());
        self.header("content-type", "application/json")
    }

    /// One JSON value a line.
    pub(crate) fn lines(mut self, lines: &[String]) -> Self {
        self.builder = self.builder.body(lines.join("\n"));
        self.header("content-type", "application/x-ndjson")
    }

    /// Sends a batch that is answered line by line.
    pub(crate) async fn send_batch(self) -> Vec<Value> {
        let text = self.send_batch_text().await;
        assert!(text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) async fn send_batch_text(self) -> String {
        let key = self.stage.key.clone();
        let response = self.builder.bearer_auth(key).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        response.text().await.unwrap()
    }

    pub(crate) async fn send(self) -> Answer {
        let key = self.stage.key.clone();
        self.send_as(&key).await
    }

    pub(crate) async fn send_as(self, key: &str) -> Answer {
        Answer::of(self.builder.bearer_auth(key).send().await.unwrap()).await
    }

    pub(crate) async fn send_as_nobody(self) -> Answer {
        Answer::of(self.builder.send().await.unwrap()).await
    }

    pub(crate) async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.builder.bearer_auth(&self.stage.key).send().await?;
        Ok(Answer::of(response).await)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    headers: reqwest::header::HeaderMap,
}

impl Answer {
    async fn of(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body: Value = response.json().await.unwrap();
        if status >= 400 {
            assert_eq!(headers["content-type"], "application/problem+json");
            assert_eq!(body["status"], status);
            assert_eq!(
                body["request_id"],
                headers["x-request-id"].to_str().unwrap()
            );
        }
        Self {
            status,
            body,
            headers,
        }
    }

    /// Empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.body[field]
            .as_str()
            .unwrap_or_else(|| panic!("no {field} in {}", self.body))
    }

    pub(crate) fn uuid(&self, field: &str) -> Uuid {
        self.text(field).parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.text("code")),
            (status, code),
            "{}",
            self.body
        );
    }

    #[track_caller]
    pub(crate) fn is_accepted(&self) {
        assert_eq!(
            (self.status, self.text("status")),
            (202, "queued"),
            "{}",
            self.body
        );
    }

    /// The pointers of all faults.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }
}

impl Running {
    async fn start(database_url: &str, amqp_url: &str) -> Self {
        let store = Store::connect_lazy(database_url, &store_options()).unwrap();
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let served_token = CancellationToken::new();
        let broker = BrokerConfig::new(amqp_url, "test ingress");
        let publisher = CommandPublisher::start(
            broker.clone(),
            generations(&store, &tracker, &served_token),
            &tracker,
            served_token.clone(),
        );
        let readiness = Readiness::new();
        let keyring = Keyring::start(store.clone(), readiness.check("keys"), &tracker, &token);
        let options = IngressOptions {
            store,
            publisher,
            broker,
            keyring,
            readiness: readiness.clone(),
            instance: Uuid::new_v4().to_string(),
        };
        let router = Ingress::start(options, &tracker, &token).router();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = token.clone();
        let served = tokio::spawn(async move {
            orderly_http::serve(listener, router, stop).await;
            served_token.cancel();
            tracker.close();
            tracker.wait().await;
        });
        until("the ingress is ready", || async { readiness.is_ready() }).await;
        Self {
            address,
            token,
            served,
        }
    }

    /// Waits until everything of it has ended.
    pub(crate) async fn ended(self) {
        tokio::time::timeout(LIMIT, self.served)
            .await
            .unwrap()
            .unwrap();
    }
}

/// What the publisher wants to know of what the store follows.
fn generations(
    store: &Store,
    tracker: &TaskTracker,
    token: &CancellationToken,
) -> GenerationSource {
    let mut followed = store.watch_generation(tracker, token);
    let (publish, current) = watch::channel(None);
    let reload = followed.reload.clone();
    tracker.spawn(async move {
        loop {
            let layout = followed.current.borrow_and_update().layout;
            publish.send_replace(layout.map(|layout| Layout {
                generation: layout.generation,
                shard_count: layout.shard_count,
            }));
            if followed.current.changed().await.is_err() {
                return;
            }
        }
    });
    GenerationSource { current, reload }
}

fn store_options() -> StoreOptions {
    StoreOptions {
        application_name: "orderly-ingress-tests".to_owned(),
        max_connections: 4,
        profile: SessionProfile::General,
    }
}

async fn insert_key(store: &Store, producer: ProducerId, scopes: &[Scope]) -> String {
    let key = api_key::generate("test").unwrap();
    let row = NewApiKey {
        key_id: key.key_id,
        producer,
        name: "a test".to_owned(),
        secret_hash: key.secret_hash.0,
        scopes: scopes.to_vec(),
    };
    store.insert_key(&row, &Actor::local("test")).await.unwrap();
    key.token
}

/// An order that can be placed.
pub(crate) fn order() -> Value {
    order_of(2)
}

pub(crate) fn order_of(quantity: i64) -> Value {
    json!({
        "customer_id": "c-1",
        "currency": "EUR",
        "lines": [{"sku": "CUP", "quantity": quantity, "unit_price_minor": 1099}],
    })
}

/// Repeats `look` until it says so, with a limit.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
    let start = Instant::now();
    while !look().await {
        assert!(start.elapsed() < LIMIT, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
