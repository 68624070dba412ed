//! A private vhost and database with one generation of shards, and what a test does with them.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use orderly_broker::{
    BrokerConfig, CommandPublisher, Confirm, Connection, GenerationSource, Layout, Message,
    Publisher, StreamOffset, topology,
};
use orderly_devenv::TestEnv;
use orderly_domain::{CommandId, OrderId, ProducerId};
use orderly_protocol::{
    CloudEvent, CommandOutcome, Envelope, Fingerprint, Outcome, ShardId, Timestamp, decode_events,
    encode_commands, fingerprint, names, shard_of,
};
use orderly_store::{GenerationWatch, SessionProfile, Store, StoreOptions};
use orderly_worker::{BrokenQueue, Resizing, SkipUndecidable, WorkerOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Long enough for a slow machine; a test that waits this long has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const SHARDS: i32 = 4;

pub(crate) struct World {
    pub(crate) env: TestEnv,
    pub(crate) store: Store,
    pub(crate) layout: GenerationWatch,
    pub(crate) connection: Connection,
    publisher: tokio::sync::Mutex<Publisher>,
    token: CancellationToken,
}

pub(crate) struct Worker {
    stop: CancellationToken,
    task: JoinHandle<Result<(), BrokenQueue>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_max_length(topology::DEFAULT_MAX_LENGTH).await
    }

    /// One whose queues were declared to be full at this many messages.
    pub(crate) async fn with_max_length(max_length: u32) -> Self {
        // A failing test shows what the worker said.
        let logs = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
        logs.with_test_writer().try_init().ok();
        let env = orderly_devenv::test_env().await;
        let options = StoreOptions {
            application_name: "worker-test".to_owned(),
            max_connections: 8,
            profile: SessionProfile::Worker,
        };
        let store = Store::connect(&env.database_url, &options).await.unwrap();
        store.migrate().await.unwrap();
        let connection = Connection::open(&config(&env, "test")).await.unwrap();
        topology::declare_shared(&connection, topology::EventLog::default())
            .await
            .unwrap();
        topology::declare_generation(&connection, 1, SHARDS, max_length)
            .await
            .unwrap();
        store.create_first_generation(SHARDS, 32).await.unwrap();
        let token = CancellationToken::new();
        let layout = store.watch_generation(&TaskTracker::new(), &token);
        let publisher = tokio::sync::Mutex::new(connection.publisher().await.unwrap());
        let world = Self {
            env,
            store,
            layout,
            connection,
            publisher,
            token,
        };
        world.stock("TEA", 1_000_000).await;
        world
    }

    pub(crate) async fn sql(&self, statement: &str) -> String {
        self.env.psql(&[statement]).await.unwrap().trim().to_owned()
    }

    pub(crate) async fn stock(&self, sku: &str, on_hand: i64) {
        let row = format!("('{sku}', {on_hand}, 0, now())");
        self.sql(&format!(
            "insert into stock (sku, on_hand, reserved, updated_at) values {row}"
        ))
        .await;
    }

    pub(crate) async fn delete_stream(&self) {
        self.delete_queue(names::EVENTS_STREAM).await;
    }

    pub(crate) async fn delete_queue(&self, queue: &str) {
        let delete = ["--vhost", self.env.vhost(), "delete_queue", queue];
        self.env.rabbitmqctl(&delete).await.unwrap();
    }

    /// Another node of the broker, as far as bindings go: a virtual host of its own, where the first generation is still bound.
    pub(crate) async fn lagging_node(&self) -> (TestEnv, Connection) {
        let env = orderly_devenv::test_env().await;
        let node = Connection::open(&config(&env, "node")).await.unwrap();
        let log = topology::EventLog::default();
        topology::declare_shared(&node, log).await.unwrap();
        for (generation, shards) in [(1, SHARDS), (2, 6)] {
            let most = topology::DEFAULT_MAX_LENGTH;
            topology::declare_generation(&node, generation, shards, most)
                .await
                .unwrap();
        }
        (env, node)
    }

    pub(crate) async fn declare_shards(&self) {
        let limit = topology::DEFAULT_MAX_LENGTH;
        topology::declare_generation(&self.connection, 1, SHARDS, limit)
            .await
            .unwrap();
    }

    pub(crate) async fn declare_stream(&self) {
        let log = topology::EventLog::default();
        topology::declare_shared(&self.connection, log)
            .await
            .unwrap();
    }

    pub(crate) fn worker(&self, owner: &str) -> Worker {
        self.worker_on(self.store.clone(), owner)
    }

    pub(crate) fn worker_on(&self, store: Store, owner: &str) -> Worker {
        Self::start(self.options(store, owner))
    }

    pub(crate) fn worker_of_at_most(&self, shards: NonZeroU16, owner: &str) -> Worker {
        let max_shards = Some(shards);
        Self::start(WorkerOptions {
            max_shards,
            ..self.options(self.store.clone(), owner)
        })
    }

    /// One whose broker user may write and read everything, and configure nothing.
    pub(crate) async fn worker_that_may_not_configure(&self, owner: &str) -> Worker {
        let mut options = self.options(self.store.clone(), owner);
        let url = self.env.restricted_amqp_url(["^$", ".*", ".*"]);
        options.broker.url = url.await.unwrap();
        Self::start(options)
    }

    /// One that asks these nodes before it ends a generation.
    pub(crate) fn worker_with_nodes(&self, owner: &str, nodes: Vec<String>) -> Worker {
        let mut options = self.options(self.store.clone(), owner);
        options.resizing.nodes = nodes;
        Self::start(options)
    }

    pub(crate) fn worker_that_skips(&self, action_type: &str, owner: &str) -> Worker {
        let skip_undecidable = std::iter::once(action_type.to_owned()).collect();
        Self::start(WorkerOptions {
            skip_undecidable,
            ..self.options(self.store.clone(), owner)
        })
    }

    fn options(&self, store: Store, owner: &str) -> WorkerOptions {
        let (ready, _) = watch::channel(false);
        WorkerOptions {
            store,
            layout: self.layout.clone(),
            broker: config(&self.env, owner),
            owner: owner.to_owned(),
            max_shards: None,
            // A test's broker is never killed amid a resize, which is what new queues settle for.
            resizing: Resizing {
                nodes: vec![self.env.amqp_url.clone()],
                settle: Duration::from_millis(200),
            },
            skip_undecidable: SkipUndecidable::default(),
            version: "test",
            ready,
        }
    }

    fn start(options: WorkerOptions) -> Worker {
        let stop = CancellationToken::new();
        let task = tokio::spawn(orderly_worker::run(options, stop.clone()));
        Worker { stop, task }
    }

    /// A publisher that follows the generations, as an ingress has it; none are heard of while it is `cut_off` from the database.
    pub(crate) fn ingress(
        &self,
        name: &str,
        mut cut_off: watch::Receiver<bool>,
    ) -> CommandPublisher {
        let mut loads = self.layout.current.clone();
        let (sender, current) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let layout = loads.borrow_and_update().layout;
                sender.send_replace(layout.map(|layout| Layout {
                    generation: layout.generation,
                    shard_count: layout.shard_count,
                }));
                let heard = loads.changed().await.is_ok();
                if !heard || cut_off.wait_for(|cut_off| !cut_off).await.is_err() {
                    return;
                }
            }
        });
        let generations = GenerationSource {
            current,
            reload: Arc::clone(&self.layout.reload),
        };
        let (tracker, token) = (TaskTracker::new(), self.token.child_token());
        CommandPublisher::start(config(&self.env, name), generations, &tracker, token)
    }

    /// Publishes one message of these commands to the shard of the first one's order.
    pub(crate) async fn post(&self, envelopes: &[Envelope]) {
        let shard = shard_of(envelopes[0].order_id, SHARDS);
        let encoded: Vec<Vec<u8>> = envelopes.iter().map(Envelope::encode).collect();
        self.post_raw(shard, encode_commands(encoded.iter().map(Vec::as_slice)))
            .await;
    }

    pub(crate) async fn post_one(&self, envelope: &Envelope) {
        self.post(std::slice::from_ref(envelope)).await;
    }

    pub(crate) async fn post_raw(&self, shard: i32, body: Vec<u8>) {
        self.post_message(shard, &Message::commands(body)).await;
    }

    pub(crate) async fn post_message(&self, shard: i32, message: &Message) {
        let key = ShardId {
            generation: 1,
            shard,
        }
        .routing_key();
        let mut publisher = self.publisher.lock().await;
        let confirm = publisher
            .publish_mandatory(names::COMMANDS_EXCHANGE, &key, message)
            .await;
        assert_eq!(confirm.unwrap(), Confirm::Stored);
    }

    /// Puts a message into a queue of the first generation, whatever it is bound to.
    pub(crate) async fn publish_to_queue(&self, shard: i32, message: &Message) {
        let queue = ShardId {
            generation: 1,
            shard,
        }
        .queue();
        let mut publisher = self.publisher.lock().await;
        let confirm = publisher.publish_mandatory("", &queue, message).await;
        assert_eq!(confirm.unwrap(), Confirm::Stored);
    }

    /// Takes what is ready on a shard and goes away without an ack, as a dying consumer does.
    pub(crate) async fn deliver_and_drop(&self, shard: i32) {
        let connection = Connection::open(&config(&self.env, "visitor"))
            .await
            .unwrap();
        let shard = ShardId {
            generation: 1,
            shard,
        };
        let mut subscription = connection.subscribe_shard(&shard, 32).await.unwrap();
        subscription.next().await.unwrap().unwrap();
        subscription.close().await.unwrap();
        connection.close().await;
    }

    /// Ends the broker's side of every connection of this worker.
    pub(crate) async fn cut_connections_of(&self, owner: &str) {
        let cut = format!(
            "[rabbit_networking:close_connection(Pid, \"a test\") || \
              [{{pid, Pid}}, {{client_properties, P}}, {{vhost, <<\"{}\">>}}] <- \
              rabbit_networking:connection_info_all([pid, client_properties, vhost]), \
              lists:any(fun({{<<\"connection_name\">>, _, N}}) -> binary:match(N, <<\"{owner}\">>) =/= nomatch; (_) -> false end, P)]",
            self.env.vhost()
        );
        self.env
            .rabbitmqctl(&["eval", &format!("{cut}.")])
            .await
            .unwrap();
    }

    /// Five attempts at this command that nobody ended; `owner` is SQL and knows their number as `n`.
    pub(crate) async fn leave_attempts(&self, command: &Envelope, owner: &str) {
        let hash = Fingerprint(Sha256::digest(command.encode()).into());
        self.sql(&format!(
            "insert into attempts (attempt_id, envelope_hash, owner)
             select gen_random_uuid(), decode('{hash}', 'hex'), {owner} from generate_series(1, 5) as n"
        ))
        .await;
    }

    /// Waits until the command has an outcome or is parked.
    pub(crate) async fn settled(&self, command: &Envelope) {
        let id = command.command_id;
        until(|| async {
            let decided = self.store.outcome(id).await.unwrap().is_some();
            (decided || self.store.parked(id).await.unwrap().is_some()).then_some(())
        })
        .await;
    }

    pub(crate) async fn outcome(&self, command: &Envelope) -> CommandOutcome {
        until(|| async { self.store.outcome(command.command_id).await.unwrap() }).await
    }

    pub(crate) async fn applied(&self, command: &Envelope) {
        let outcome = self.outcome(command).await;
        assert_eq!(outcome.outcome, Outcome::Applied, "{outcome:?}");
    }

    /// Every event of the stream from its beginning, until `enough` says so.
    pub(crate) async fn stream_until(
        &self,
        enough: impl Fn(&[CloudEvent]) -> bool,
    ) -> Vec<CloudEvent> {
        let stream = self
            .connection
            .read_stream(names::EVENTS_STREAM, StreamOffset::First, 100);
        let mut reader = stream.await.unwrap();
        let mut events = Vec::new();
        let reading = async {
            while !enough(&events) {
                let message = reader.next().await.unwrap().unwrap();
                events.extend(decode_events(&message.body).unwrap());
            }
        };
        let timely = tokio::time::timeout(LIMIT, reading).await;
        assert!(timely.is_ok(), "the stream ends with {events:?}");
        events
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

impl Worker {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ended().await.unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<(), BrokenQueue> {
        tokio::time::timeout(LIMIT, self.task)
            .await
            .unwrap()
            .unwrap()
    }
}

fn config(env: &TestEnv, name: &str) -> BrokerConfig {
    BrokerConfig {
        url: env.amqp_url.clone(),
        name: name.to_owned(),
    }
}

/// Asks again until there is an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking)
        .await
        .expect("the condition holds in time")
}

pub(crate) fn envelope(order_id: OrderId, action_type: &str, data: &Value) -> Envelope {
    let producer = ProducerId(Uuid::from_u128(7));
    Envelope {
        command_id: CommandId(Uuid::now_v7()),
        order_id,
        action_type: action_type.to_owned(),
        data: serde_json::value::to_raw_value(data).unwrap(),
        expected_version: None,
        producer,
        idempotency_key: None,
        fingerprint: fingerprint(action_type, Some(order_id), data, None),
        accepted_at: Timestamp::now_utc(),
        traceparent: None,
        reply_to: None,
    }
}

pub(crate) fn place(order_id: OrderId) -> Envelope {
    let line = json!({"sku": "TEA", "quantity": 2, "unit_price_minor": 150});
    envelope(
        order_id,
        "place",
        &json!({"customer_id": "c1", "currency": "EUR", "lines": [line]}),
    )
}

pub(crate) fn annotate(order_id: OrderId, value: &str) -> Envelope {
    envelope(order_id, "annotate", &json!({"key": "k", "value": value}))
}

/// A new order id that belongs to this shard.
pub(crate) fn order_on(shard: i32) -> OrderId {
    std::iter::repeat_with(|| OrderId(Uuid::now_v7()))
        .find(|id| shard_of(*id, SHARDS) == shard)
        .unwrap()
}
