//! Payment events to publish, a role to start, and the one shard in which its commands arrive.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use orderly_broker::{
    BrokerConfig, CommandPublisher, Confirm, Connection, GenerationSource, Layout, Message,
    Publisher, ShardSubscription, topology,
};
use orderly_devenv::{TestEnv, test_env};
use orderly_domain::{
    CommandId, Currency, Effect, Event, NewLine, Order, OrderId, PaymentId, RefundId, Sku, Version,
    evolve,
};
use orderly_http::Readiness;
use orderly_payments::{PaymentsOptions, SandboxGateway, SandboxOptions};
use orderly_protocol::names::{
    CLOUDEVENT_TYPE, EVENTS_EXCHANGE, PAYMENTS_QUEUE, event_routing_key,
};
use orderly_protocol::time::OffsetDateTime;
use orderly_protocol::{CloudEvent, Envelope, RecordedEvent, ShardId, decode_commands, event_data};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Longer than anything here takes on a loaded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) struct Fixture {
    env: TestEnv,
    connection: Connection,
    publisher: Publisher,
    shard: ShardSubscription,
    arrived: Vec<Envelope>,
    pub(crate) layout: watch::Sender<Option<Layout>>,
}

/// A payments role that runs.
pub(crate) struct Running {
    pub(crate) readiness: Readiness,
    token: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops it gently.
    pub(crate) async fn stop(self) {
        self.token.cancel();
        tokio::time::timeout(LIMIT, self.task)
            .await
            .expect("the role stops in time")
            .unwrap();
    }

    /// Drops it in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        self.token.cancel();
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let env = test_env().await;
        let connection = Connection::open(&BrokerConfig::new(&env.amqp_url, "test"))
            .await
            .unwrap();
        topology::declare(&connection, 1, 1).await.unwrap();
        let publisher = connection.publisher().await.unwrap();
        let shard = connection
            .subscribe_shard(
                &ShardId {
                    generation: 1,
                    shard: 0,
                },
                32,
            )
            .await
            .unwrap();
        let layout = watch::Sender::new(Some(Layout {
            generation: 1,
            shard_count: 1,
        }));
        Self {
            env,
            connection,
            publisher,
            shard,
            arrived: Vec::new(),
            layout,
        }
    }

    pub(crate) fn start(&self, sandbox: SandboxOptions) -> Running {
        let broker = BrokerConfig::new(&self.env.amqp_url, "payments");
        let (token, readiness) = (CancellationToken::new(), Readiness::new());
        let generations = GenerationSource {
            current: self.layout.subscribe(),
            reload: Arc::new(Notify::new()),
        };
        let commands = CommandPublisher::start(
            broker.clone(),
            generations,
            &TaskTracker::new(),
            token.clone(),
        );
        let options = PaymentsOptions {
            broker,
            commands,
            gateway: SandboxGateway::new(sandbox),
        };
        let run = orderly_payments::run(options, readiness.check("payments"), token.clone());
        Running {
            readiness,
            token,
            task: tokio::spawn(run),
        }
    }

    /// Makes the queue of payment events anew, without what keeps it to one consumer.
    pub(crate) async fn break_queue(&self) {
        let channel = self.delete_queue().await;
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(PAYMENTS_QUEUE.into(), durable, arguments)
            .await
            .unwrap();
    }

    /// Makes the queue of payment events as it should be.
    pub(crate) async fn mend_queue(&self) {
        self.delete_queue().await;
        topology::declare(&self.connection, 1, 1).await.unwrap();
    }

    pub(crate) async fn consumers(&self) -> u32 {
        let status = topology::queue_status(&self.connection, PAYMENTS_QUEUE).await;
        status.unwrap().unwrap().consumers
    }

    async fn delete_queue(&self) -> lapin::Channel {
        let connection =
            lapin::Connection::connect(&self.env.amqp_url, lapin::ConnectionProperties::default());
        let channel = connection.await.unwrap().create_channel().await.unwrap();
        channel
            .queue_delete(PAYMENTS_QUEUE.into(), QueueDeleteOptions::default())
            .await
            .unwrap();
        channel
    }

    /// Publishes an event of an order as the relay does.
    pub(crate) async fn publish(&mut self, order: u128, version: u64, event: &Event) {
        let order_id = OrderId(Uuid::from_u128(order));
        let recorded = RecordedEvent {
            order_id,
            version: Version(version),
            command_id: CommandId(Uuid::from_u128(order << 64 | u128::from(version))),
            event_type: event.name().to_owned(),
            data: event_data(&placed(order_id), event),
            recorded_at: OffsetDateTime::UNIX_EPOCH,
            traceparent: Some(TRACEPARENT.to_owned()),
        };
        let key = event_routing_key(event.name(), order_id);
        self.publish_body(&key, CloudEvent::from(&recorded).encode())
            .await;
    }

    pub(crate) async fn publish_body(&mut self, routing_key: &str, body: Vec<u8>) {
        let message = Message::persistent(body, CLOUDEVENT_TYPE);
        let publish = self
            .publisher
            .publish_mandatory(EVENTS_EXCHANGE, routing_key, &message);
        assert_eq!(
            publish.await.unwrap(),
            Confirm::Stored,
            "no queue takes {routing_key}"
        );
    }

    /// The next command in the shard.
    pub(crate) async fn command(&mut self) -> Envelope {
        while self.arrived.is_empty() {
            let next = tokio::time::timeout(LIMIT, self.shard.next()).await;
            let delivery = next.expect("a command arrives in time").unwrap().unwrap();
            let envelopes = decode_commands(&delivery.body).unwrap();
            self.arrived.extend(
                envelopes
                    .iter()
                    .map(|raw| Envelope::decode(raw.get().as_bytes()).unwrap()),
            );
            delivery.ack_through().await.unwrap();
        }
        self.arrived.remove(0)
    }

    pub(crate) async fn commands(&mut self, count: usize) -> Vec<Envelope> {
        let mut commands = Vec::new();
        while commands.len() < count {
            commands.push(self.command().await);
        }
        commands
    }
}

pub(crate) fn payment_requested(order: u128) -> Event {
    Event::PaymentRequested {
        payment_id: payment_id(order),
        amount_minor: 700,
        method: "card".into(),
    }
}

pub(crate) fn refund_requested(order: u128) -> Event {
    Event::RefundRequested {
        refund_id: refund_id(order),
        payment_id: payment_id(order),
        amount_minor: 300,
        reason: "broken".into(),
    }
}

pub(crate) fn cancelled(effect: Option<Effect>) -> Event {
    Event::Cancelled {
        reason: "changed their mind".into(),
        effect,
    }
}

pub(crate) fn payment_id(order: u128) -> PaymentId {
    PaymentId(Uuid::from_u128(order | 1 << 100))
}

pub(crate) fn refund_id(order: u128) -> RefundId {
    RefundId(Uuid::from_u128(order | 1 << 101))
}

fn placed(order_id: OrderId) -> Order {
    let event = Event::Placed {
        customer_id: "c-1".into(),
        currency: Currency::new("EUR").unwrap(),
        lines: vec![NewLine {
            sku: Sku::new("MUG").unwrap(),
            quantity: 1,
            unit_price_minor: 700,
        }],
        note: None,
    };
    evolve(None, order_id, &event).unwrap()
}

/// Waits until `what` answers true.
pub(crate) async fn until(mut what: impl FnMut() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait)
        .await
        .expect("it becomes true in time");
}
