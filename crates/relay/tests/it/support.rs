//! A stream to write, a relay to start, and a queue that sees every copy. The queue is declared with lapin itself: crate
//! broker has no way to bind a queue of a stranger, and should have none.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use orderly_broker::{BrokerConfig, Connection, Message, Publisher, topology};
use orderly_devenv::{TestEnv, test_env};
use orderly_domain::{CommandId, OrderId, Version};
use orderly_http::Readiness;
use orderly_protocol::names::{CLOUDEVENTS_BATCH_TYPE, EVENTS_EXCHANGE, EVENTS_STREAM};
use orderly_protocol::time::OffsetDateTime;
use orderly_protocol::{RecordedEvent, encode_events};
use orderly_relay::RelayOptions;
use orderly_store::{SessionProfile, Store, StoreOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longer than anything here takes on a loaded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// One copy as a subscriber sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) id: String,
    pub(crate) routing_key: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Fixture {
    pub(crate) env: TestEnv,
    pub(crate) store: Store,
    connection: Connection,
    publisher: Publisher,
    _lapin: lapin::Connection,
    pub(crate) channel: Channel,
}

/// A relay that runs.
pub(crate) struct Running {
    pub(crate) token: CancellationToken,
    pub(crate) readiness: Readiness,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops it gently.
    pub(crate) async fn stop(self) {
        self.token.cancel();
        tokio::time::timeout(LIMIT, self.task)
            .await
            .expect("the relay stops in time")
            .unwrap();
    }

    /// Drops it in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let env = test_env().await;
        let store = store(&env).await;
        store.migrate().await.unwrap();
        let connection = Connection::open(&BrokerConfig::new(&env.amqp_url, "test"))
            .await
            .unwrap();
        topology::declare_shared(&connection, topology::EventLog::default())
            .await
            .unwrap();
        let publisher = connection.publisher().await.unwrap();
        let lapin =
            lapin::Connection::connect(&env.amqp_url, lapin::ConnectionProperties::default())
                .await
                .unwrap();
        let channel = lapin.create_channel().await.unwrap();
        Self {
            env,
            store,
            connection,
            publisher,
            _lapin: lapin,
            channel,
        }
    }

    /// Starts a relay with a pool of its own, as another process would have.
    pub(crate) async fn relay(&self) -> Running {
        let options = RelayOptions {
            store: store(&self.env).await,
            broker: BrokerConfig::new(&self.env.amqp_url, self.relay_name()),
        };
        let (token, readiness) = (CancellationToken::new(), Readiness::new());
        let run = orderly_relay::run(options, readiness.check("relay"), token.clone());
        Running {
            token,
            readiness,
            task: tokio::spawn(run),
        }
    }

    /// What the relay's connection calls itself: unlike that of any other test.
    fn relay_name(&self) -> String {
        format!("relay {}", self.env.vhost())
    }

    /// Has the broker close the relay's connection.
    pub(crate) async fn cut_relay(&self) {
        let cut = format!(
            "[rabbit_networking:close_connection(Pid, \"cut\") || Pid <- rabbit_networking:connections(), \
             [{{client_properties, P}}] <- [rabbit_networking:connection_info(Pid, [client_properties])], \
             lists:keyfind(<<\"connection_name\">>, 1, P) =:= {{<<\"connection_name\">>, longstr, <<\"{}\">>}}].",
            self.relay_name()
        );
        let cut = self.env.rabbitmqctl(&["eval", &cut]).await.unwrap();
        assert_eq!(cut.trim(), "[ok]");
    }

    /// A queue that gets every copy.
    pub(crate) async fn probe(&self, name: &str) -> Probe {
        self.bind(name, FieldTable::default()).await;
        let options = BasicConsumeOptions::default();
        let consume =
            self.channel
                .basic_consume(name.into(), name.into(), options, FieldTable::default());
        Probe(consume.await.unwrap())
    }

    /// A queue that gets every copy and takes `max` of them.
    pub(crate) async fn small_queue(&self, name: &str, max: i32) {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(max));
        arguments.insert(
            "x-overflow".into(),
            AMQPValue::LongString("reject-publish".into()),
        );
        self.bind(name, arguments).await;
    }

    async fn bind(&self, name: &str, arguments: FieldTable) {
        self.channel
            .queue_declare(name.into(), QueueDeclareOptions::durable(), arguments)
            .await
            .unwrap();
        let bind = self.channel.queue_bind(
            name.into(),
            EVENTS_EXCHANGE.into(),
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bind.await.unwrap();
    }

    /// How many messages a queue has.
    pub(crate) async fn depth(&self, name: &str) -> u32 {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::durable()
        };
        self.channel
            .queue_declare(name.into(), options, FieldTable::default())
            .await
            .unwrap()
            .message_count()
    }

    pub(crate) async fn delete_stream(&self) {
        self.channel
            .queue_delete(EVENTS_STREAM.into(), QueueDeleteOptions::default())
            .await
            .unwrap();
    }

    pub(crate) async fn declare_shared(&self) {
        topology::declare_shared(&self.connection, topology::EventLog::default())
            .await
            .unwrap();
    }

    /// Writes events to the stream, as one message.
    pub(crate) async fn write(&mut self, events: &[RecordedEvent]) {
        for body in encode_events(events) {
            self.write_body(body).await;
        }
    }

    pub(crate) async fn write_body(&mut self, body: Vec<u8>) {
        let message = Message::persistent(body, CLOUDEVENTS_BATCH_TYPE);
        self.publisher
            .publish_mandatory("", EVENTS_STREAM, &message)
            .await
            .unwrap();
    }
}

async fn store(env: &TestEnv) -> Store {
    let options = StoreOptions {
        application_name: "relay-test".to_owned(),
        max_connections: 2,
        profile: SessionProfile::General,
    };
    Store::connect(&env.database_url, &options).await.unwrap()
}

pub(crate) struct Probe(Consumer);

impl Probe {
    pub(crate) async fn next(&mut self) -> Copy {
        let next = tokio::time::timeout(LIMIT, self.0.next()).await;
        let delivery = next.expect("a copy arrives in time").unwrap().unwrap();
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        let text = |value: &Option<lapin::types::ShortString>| value.as_ref().unwrap().to_string();
        Copy {
            id: text(delivery.properties.message_id()),
            routing_key: delivery.routing_key.to_string(),
            content_type: text(delivery.properties.content_type()),
            body: delivery.data,
        }
    }

    pub(crate) async fn take(&mut self, count: usize) -> Vec<Copy> {
        let mut copies = Vec::new();
        while copies.len() < count {
            copies.push(self.next().await);
        }
        copies
    }
}

/// The events of one order, from `versions` on.
pub(crate) fn events(order: u128, versions: std::ops::RangeInclusive<u64>) -> Vec<RecordedEvent> {
    let event = |version| RecordedEvent {
        order_id: OrderId(Uuid::from_u128(order)),
        version: Version(version),
        command_id: CommandId(Uuid::from_u128(order << 64 | u128::from(version))),
        event_type: if version == 1 { "placed" } else { "annotated" }.to_owned(),
        data: serde_json::value::to_raw_value(&serde_json::json!({ "version": version })).unwrap(),
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

pub(crate) fn ids_of(copies: &[Copy]) -> Vec<String> {
    copies.iter().map(|copy| copy.id.clone()).collect()
}

/// Waits until `what` answers true.
pub(crate) async fn until<F: Future<Output = bool>>(mut what: impl FnMut() -> F) {
    let wait = async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait)
        .await
        .expect("it becomes true in time");
}
