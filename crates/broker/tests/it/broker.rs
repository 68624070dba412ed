//! A virtual host of its own for each test, and the few moves that tests share.

use std::{collections::BTreeSet, time::Duration};

use orderly_broker::{
    BrokerConfig, Confirm, Connection, Delivery, Message, Publisher, ShardSubscription,
    topology::{self, EventLog},
};
use orderly_devenv::{TestEnv, test_env};
use orderly_protocol::{ShardId, names};

/// The prefetch of all tests: one constant, as in production.
pub(crate) const PREFETCH: u16 = 50;

/// Longer than anything here takes on a busy machine; a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The only shard of generation 1.
pub(crate) const SHARD: ShardId = ShardId {
    generation: 1,
    shard: 0,
};

/// A fresh virtual host.
pub(crate) struct Broker {
    pub(crate) env: TestEnv,
}

impl Broker {
    /// With nothing in it.
    pub(crate) async fn empty() -> Self {
        Self {
            env: test_env().await,
        }
    }

    /// With generation 1 of `shard_count` shards that hold `max_length` messages.
    pub(crate) async fn with_shards(shard_count: i32, max_length: u32) -> Self {
        let broker = Self::empty().await;
        let setup = broker.connect("setup").await;
        topology::declare_shared(&setup, EventLog::default())
            .await
            .unwrap();
        topology::declare_generation(&setup, 1, shard_count, max_length)
            .await
            .unwrap();
        setup.close().await;
        broker
    }

    /// With one shard that never fills.
    pub(crate) async fn with_shard() -> Self {
        Self::with_shards(1, 1_000_000).await
    }

    pub(crate) fn url(&self) -> &str {
        &self.env.amqp_url
    }

    pub(crate) fn config(&self, name: &str) -> BrokerConfig {
        BrokerConfig::new(self.url(), name)
    }

    pub(crate) async fn connect(&self, name: &str) -> Connection {
        Connection::open(&self.config(name)).await.unwrap()
    }

    /// Lets the server end all connections to this virtual host.
    pub(crate) async fn close_connections(&self, reason: &str) {
        self.ctl(&["close_all_connections", "--vhost", self.vhost(), reason])
            .await;
    }

    /// A command of `rabbitmqctl`.
    pub(crate) async fn ctl(&self, arguments: &[&str]) {
        self.env.rabbitmqctl(arguments).await.unwrap();
    }

    pub(crate) fn vhost(&self) -> &str {
        self.env.vhost()
    }

    /// A client without the wrapper, for what the wrapper refuses to do.
    pub(crate) async fn raw_channel(&self) -> lapin::Channel {
        let properties = lapin::ConnectionProperties::default();
        let connection = lapin::Connection::connect(self.url(), properties)
            .await
            .unwrap();
        connection.create_channel().await.unwrap()
    }

    /// Publishes `numbers` to [`SHARD`], each as a message of its own.
    pub(crate) async fn publish(&self, numbers: impl IntoIterator<Item = u32>) {
        let connection = self.connect("publish").await;
        let mut publisher = connection.publisher().await.unwrap();
        for number in numbers {
            assert_eq!(
                publish_number(&mut publisher, number).await,
                Confirm::Stored
            );
        }
        connection.close().await;
    }

    /// Takes everything that is in the queue of a shard, in order.
    pub(crate) async fn drain(&self, shard: ShardId) -> Vec<Vec<u8>> {
        drain(&self.config("drain"), shard).await
    }
}

/// Takes everything that is in the queue of a shard, in order.
pub(crate) async fn drain(config: &BrokerConfig, shard: ShardId) -> Vec<Vec<u8>> {
    let connection = Connection::open(config).await.unwrap();
    let mut subscription = connection.subscribe_shard(&shard, PREFETCH).await.unwrap();
    // A marker behind everything tells the end without waiting for silence.
    let mut publisher = connection.publisher().await.unwrap();
    let marker = Message::persistent("end", names::JSON_TYPE);
    let confirm = publisher
        .publish_mandatory("", &shard.queue(), &marker)
        .await
        .unwrap();
    assert_eq!(confirm, Confirm::Stored);
    let mut bodies = Vec::new();
    loop {
        let delivery = next(&mut subscription).await;
        let body = delivery.body.to_vec();
        delivery.ack_through().await.unwrap();
        if body == b"end" {
            connection.close().await;
            return bodies;
        }
        bodies.push(body);
    }
}

/// Publishes one number to [`SHARD`].
pub(crate) async fn publish_number(publisher: &mut Publisher, number: u32) -> Confirm {
    let message = Message::commands(number.to_string());
    let key = SHARD.routing_key();
    publisher
        .publish_mandatory(names::COMMANDS_EXCHANGE, &key, &message)
        .await
        .unwrap()
}

/// The next delivery, which must come.
pub(crate) async fn next(subscription: &mut ShardSubscription) -> Delivery {
    let next = tokio::time::timeout(PATIENCE, subscription.next());
    next.await
        .expect("no delivery came")
        .unwrap()
        .expect("the queue is there")
}

/// The numbers of the next deliveries and the deliveries.
pub(crate) async fn take(
    subscription: &mut ShardSubscription,
    count: usize,
) -> (Vec<u32>, Vec<Delivery>) {
    let (mut numbers, mut deliveries) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let delivery = next(subscription).await;
        numbers.push(number(&delivery.body));
        deliveries.push(delivery);
    }
    (numbers, deliveries)
}

/// A number that was published.
pub(crate) fn number(body: &[u8]) -> u32 {
    std::str::from_utf8(body).unwrap().parse().unwrap()
}

/// All the numbers from `first` to `last`, in order.
pub(crate) fn run(first: u32, last: u32) -> Vec<u32> {
    (first..=last).collect()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("waited for: {what}"));
}

/// Fails if anything occurs twice.
pub(crate) fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let (mut set, mut count) = (BTreeSet::new(), 0);
    for item in items {
        set.insert(item);
        count += 1;
    }
    assert_eq!(set.len(), count, "something is there twice");
    set
}
