//! A dashboard that listens, a stream to write, and a client that reads it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use orderly_broker::{
    BrokerConfig, CommandPublisher, Confirm, Connection, GenerationSource, Message, Publisher,
    StreamOffset, topology,
};
use orderly_dashboard::{Controls, CookieSecurity, DashboardState, Depths, EventHub, Scaling};
use orderly_devenv::{TestEnv, test_env};
use orderly_domain::{CommandId, OrderId, ProducerId, Version};
use orderly_http::{Keyring, Readiness};
use orderly_protocol::api_key::{self, Scope};
use orderly_protocol::names::{CLOUDEVENTS_BATCH_TYPE, EVENTS_STREAM};
use orderly_protocol::serde_json::{self, Value, json};
use orderly_protocol::time::OffsetDateTime;
use orderly_protocol::{RecordedEvent, ShardId, encode_events};
use orderly_store::{Actor, NewApiKey, SessionProfile, Store, StoreOptions};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Longer than anything here takes on a loaded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What a test works with; the dashboard is started when the test wants it.
pub(crate) struct Fixture {
    pub(crate) env: TestEnv,
    pub(crate) store: Store,
    pub(crate) connection: Connection,
    publisher: Publisher,
    /// An API key that may do everything.
    pub(crate) key: String,
}

/// A dashboard that runs.
pub(crate) struct Dashboard {
    pub(crate) url: String,
    key: String,
    client: Client,
    pub(crate) readiness: Readiness,
    pub(crate) token: CancellationToken,
    pub(crate) server: JoinHandle<()>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let env = test_env().await;
        let options = StoreOptions {
            application_name: "dashboard-test".to_owned(),
            max_connections: 8,
            profile: SessionProfile::General,
        };
        let store = Store::connect(&env.database_url, &options).await.unwrap();
        store.migrate().await.unwrap();
        let connection = Connection::open(&BrokerConfig::new(&env.amqp_url, "test"))
            .await
            .unwrap();
        topology::declare_shared(&connection, topology::EventLog::default())
            .await
            .unwrap();
        let publisher = connection.publisher().await.unwrap();
        let key = insert_key(&store, &Scope::ALL).await;
        Self {
            env,
            store,
            connection,
            publisher,
            key,
        }
    }

    pub(crate) async fn start(&self) -> Dashboard {
        self.start_at("127.0.0.1:0").await
    }

    /// Starts a dashboard that listens there.
    pub(crate) async fn start_at(&self, address: &str) -> Dashboard {
        let (token, tasks, readiness) = (
            CancellationToken::new(),
            TaskTracker::new(),
            Readiness::new(),
        );
        let broker = BrokerConfig::new(&self.env.amqp_url, self.hub_name());
        let named = |name: &str| BrokerConfig::new(&self.env.amqp_url, name);
        let publisher = publisher(&self.store, named("publisher"), &tasks, &token);
        let depths = Depths::start(named("depths"), &tasks, token.clone());
        let state = DashboardState {
            controls: Controls::start(self.store.clone(), publisher.clone(), &tasks, token.clone()),
            publisher,
            store: self.store.clone(),
            keyring: Keyring::start(self.store.clone(), readiness.check("keys"), &tasks, &token),
            scaling: Scaling::start(self.store.clone(), depths.clone(), &tasks, token.clone()),
            depths,
            events: EventHub::start(broker, readiness.check("events"), tasks, token.clone()),
            key_environment: "test".to_owned(),
            cookie_security: CookieSecurity::AsForwarded,
        };
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = orderly_http::serve(listener, orderly_dashboard::router(state), token.clone());
        let server = tokio::spawn(serve);
        until(async || readiness.is_ready()).await;
        Dashboard {
            url,
            key: self.key.clone(),
            client: Client::new(),
            readiness,
            token,
            server,
        }
    }

    /// As the role is wired: a publisher that follows the generation, also one that is made later.
    /// What the hub's connection calls itself: unlike that of any other test.
    fn hub_name(&self) -> String {
        format!("dashboard {}", self.env.vhost())
    }

    /// Has the broker close the hub's connection.
    pub(crate) async fn cut_hub(&self) {
        let cut = format!(
            "[rabbit_networking:close_connection(Pid, \"cut\") || Pid <- rabbit_networking:connections(), \
             [{{client_properties, P}}] <- [rabbit_networking:connection_info(Pid, [client_properties])], \
             lists:keyfind(<<\"connection_name\">>, 1, P) =:= {{<<\"connection_name\">>, longstr, <<\"{}\">>}}].",
            self.hub_name()
        );
        assert_eq!(
            self.env.rabbitmqctl(&["eval", &cut]).await.unwrap().trim(),
            "[ok]"
        );
    }

    /// Writes events to the stream, as one message.
    pub(crate) async fn write(&mut self, events: &[RecordedEvent]) {
        for body in encode_events(events) {
            let message = Message::persistent(body, CLOUDEVENTS_BATCH_TYPE);
            self.publisher
                .publish_mandatory("", EVENTS_STREAM, &message)
                .await
                .unwrap();
        }
    }

    /// Puts a message into the queue of a shard.
    pub(crate) async fn put(&mut self, shard: ShardId, message: &Message) {
        let queue = shard.queue();
        let stored = self.publisher.publish_mandatory("", &queue, message).await;
        assert_eq!(stored.unwrap(), Confirm::Stored);
    }

    /// Puts a stream that keeps some 100 kB in the place of the usual one.
    pub(crate) async fn small_stream(&self) {
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("stream".into()),
        );
        arguments.insert("x-max-length-bytes".into(), AMQPValue::LongInt(100_000));
        arguments.insert(
            "x-stream-max-segment-size-bytes".into(),
            AMQPValue::LongInt(20_000),
        );
        self.replace_stream(arguments).await;
    }

    /// Deletes the stream and declares it anew.
    pub(crate) async fn lose_stream(&self) {
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("stream".into()),
        );
        self.replace_stream(arguments).await;
    }

    async fn replace_stream(&self, arguments: FieldTable) {
        let properties = lapin::ConnectionProperties::default();
        let lapin = lapin::Connection::connect(&self.env.amqp_url, properties)
            .await
            .unwrap();
        let channel = lapin.create_channel().await.unwrap();
        channel
            .queue_delete(EVENTS_STREAM.into(), QueueDeleteOptions::default())
            .await
            .unwrap();
        let declare = channel.queue_declare(
            EVENTS_STREAM.into(),
            QueueDeclareOptions::durable(),
            arguments,
        );
        declare.await.unwrap();
        lapin.close(200, "done".into()).await.unwrap();
    }

    /// The offset of the oldest message that the stream still has.
    pub(crate) async fn oldest_offset(&self) -> u64 {
        let read = self
            .connection
            .read_stream(EVENTS_STREAM, StreamOffset::First, 1);
        let mut reader = read.await.unwrap();
        tokio::time::timeout(LIMIT, reader.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .offset
    }
}

/// Makes an API key with these scopes; answers with its token.
/// A publisher that follows the generation, as the role's.
fn publisher(
    store: &Store,
    broker: BrokerConfig,
    tasks: &TaskTracker,
    token: &CancellationToken,
) -> CommandPublisher {
    let mut watched = store.watch_generation(tasks, token);
    let (layout, current) = tokio::sync::watch::channel(None);
    tasks.spawn(async move {
        loop {
            let loaded = watched.current.borrow_and_update().layout;
            layout.send_replace(loaded.map(|loaded| orderly_broker::Layout {
                generation: loaded.generation,
                shard_count: loaded.shard_count,
            }));
            if watched.current.changed().await.is_err() {
                return;
            }
        }
    });
    let generations = GenerationSource {
        current,
        reload: watched.reload,
    };
    CommandPublisher::start(broker, generations, tasks, token.clone())
}

pub(crate) async fn insert_key(store: &Store, scopes: &[Scope]) -> String {
    let key = api_key::generate("test").unwrap();
    let new = NewApiKey {
        key_id: key.key_id,
        producer: ProducerId(Uuid::now_v7()),
        name: "test".to_owned(),
        secret_hash: key.secret_hash.0,
        scopes: scopes.to_vec(),
    };
    store.insert_key(&new, &Actor::local("test")).await.unwrap();
    key.token
}

impl Dashboard {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
    }

    pub(crate) fn request_without_key(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// Opens an event stream; `last_event_id` is sent as the header.
    pub(crate) async fn events(&self, query: &str, last_event_id: Option<&str>) -> Events {
        let mut request = self.request(Method::GET, &format!("/v1/events{query}"));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Events {
            body: response.bytes_stream().boxed(),
            text: String::new(),
            id: String::new(),
        };
        // What is written from here on comes after the greeting.
        assert!(events.block().await.unwrap().starts_with("retry: "));
        events
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), body(response).await)
}

pub(crate) async fn body(response: Response) -> Value {
    let bytes = response.bytes().await.unwrap();
    if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap()
    }
}

/// One event as a browser hands it on.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Seen {
    /// The `CloudEvents` id.
    pub(crate) fn id(&self) -> &str {
        self.data["id"].as_str().unwrap_or_default()
    }
}

/// A client of the event stream, reading as the standard says.
pub(crate) struct Events {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
    /// The last event id, also from blocks without data.
    pub(crate) id: String,
}

impl Events {
    /// The next event; heartbeats are passed over.
    pub(crate) async fn next(&mut self) -> Seen {
        loop {
            let block = self.block().await.expect("the stream goes on");
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim_start().to_owned())
            };
            if let Some(data) = field("data:") {
                return Seen {
                    event: field("event:").unwrap(),
                    data: serde_json::from_str(&data).unwrap(),
                };
            }
        }
    }

    pub(crate) async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.next().await.id().to_owned());
        }
        ids
    }

    /// The next block of lines; none when the stream has ended.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) {
                    id.clone_into(&mut self.id);
                }
                return Some(block);
            }
            let chunk = tokio::time::timeout(LIMIT, self.body.next())
                .await
                .expect("something comes in time")?;
            self.text
                .push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }
}

/// Events of one order.
pub(crate) fn events(order: u128, versions: std::ops::RangeInclusive<u64>) -> Vec<RecordedEvent> {
    let event = |version| RecordedEvent {
        order_id: OrderId(Uuid::from_u128(order)),
        version: Version(version),
        command_id: CommandId(Uuid::from_u128(order << 64 | u128::from(version))),
        event_type: if version == 1 { "placed" } else { "annotated" }.to_owned(),
        data: serde_json::value::to_raw_value(
            &json!({ "version": version, "filler": "x".repeat(500) }),
        )
        .unwrap(),
        recorded_at: OffsetDateTime::UNIX_EPOCH,
        traceparent: None,
    };
    versions.map(event).collect()
}

pub(crate) fn ids(events: &[RecordedEvent]) -> Vec<String> {
    events
        .iter()
        .map(|event| format!("{}.{}", event.order_id, event.version))
        .collect()
}

/// Waits until `what` answers true.
pub(crate) async fn until(mut what: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait)
        .await
        .expect("it becomes true in time");
}
