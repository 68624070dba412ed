//! What exists is compared with what would be declared, rights are asked for, and nothing is changed by it.

use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use orderly_broker::topology::{self, QueueStatus, TopologyError};
use orderly_broker::{BrokerConfig, Connection, missing_rights};
use orderly_protocol::{ShardId, names};

use crate::broker::{Broker, SHARD};

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// The arguments of a shard's queue, spelled out once more.
fn shard_arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-single-active-consumer".into(), true.into());
    arguments.insert("x-delivery-limit".into(), 2_000_000_000_i64.into());
    arguments.insert("x-queue-leader-locator".into(), text("balanced"));
    arguments.insert("x-max-length".into(), 100_000_i64.into());
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

const DURABLE: QueueDeclareOptions = QueueDeclareOptions {
    passive: false,
    durable: true,
    exclusive: false,
    auto_delete: false,
    nowait: false,
};

#[tokio::test]
async fn what_exists_is_compared_and_what_is_missing_stays_missing() {
    let broker = Broker::empty().await;
    let connection = broker.connect("verify").await;
    let missing = topology::verify_shared(&connection).await;
    assert!(
        matches!(&missing, Err(TopologyError::Missing { object }) if object == "orders.commands"),
        "{missing:?}"
    );
    topology::declare(&connection, 1, 2).await.unwrap();
    topology::verify_shared(&connection).await.unwrap();
    topology::verify_shard(&connection, SHARD).await.unwrap();

    let third = ShardId { shard: 2, ..SHARD };
    let missing = topology::verify_shard(&connection, third).await;
    assert!(
        matches!(&missing, Err(TopologyError::Missing { object }) if *object == third.queue()),
        "{missing:?}"
    );
    let status = topology::queue_status(&connection, &third.queue()).await;
    assert_eq!(status.unwrap(), None);
}

/// On this rests that a queue which goes away in between is not made anew, under a name that was used.
#[tokio::test]
async fn a_declaration_for_comparison_makes_no_queue() {
    let broker = Broker::empty().await;
    let mut arguments = shard_arguments();
    arguments.insert("x-max-priority".into(), (-1).into());
    let channel = broker.raw_channel().await;
    let refused = channel.queue_declare(SHARD.queue().into(), DURABLE, arguments);
    let refused = refused.await.unwrap_err().to_string();
    assert!(refused.contains("x-max-priority"), "{refused}");
    let connection = broker.connect("ask").await;
    let status = topology::queue_status(&connection, &SHARD.queue()).await;
    assert_eq!(status.unwrap(), None);
}

#[tokio::test]
async fn each_argument_that_differs_is_named() {
    let broker = Broker::empty().await;
    let connection = broker.connect("verify").await;
    let changes: [(&str, Option<AMQPValue>); 5] = [
        ("x-single-active-consumer", None),
        ("x-delivery-limit", None),
        ("x-delivery-limit", Some(20_i64.into())),
        ("x-overflow", None),
        ("x-max-length", Some(200_000_i64.into())),
    ];
    for (shard, (argument, value)) in (0..).zip(changes) {
        let shard = ShardId { shard, ..SHARD };
        let mut arguments: FieldTable = FieldTable::default();
        for (name, as_it_should_be) in shard_arguments().inner() {
            if name.as_str() != argument {
                arguments.insert(name.clone(), as_it_should_be.clone());
            }
        }
        if let Some(value) = value {
            arguments.insert(argument.into(), value);
        }
        let channel = broker.raw_channel().await;
        let declare = channel.queue_declare(shard.queue().into(), DURABLE, arguments);
        declare.await.unwrap();
        let found = topology::verify_shard(&connection, shard).await;
        assert!(
            matches!(&found, Err(TopologyError::Different { object, difference })
                if *object == shard.queue() && difference.contains(argument)),
            "{argument}: {found:?}"
        );
    }
    // A classic queue takes few of the arguments.
    let shard = ShardId { shard: 9, ..SHARD };
    let mut arguments = FieldTable::default();
    arguments.insert("x-single-active-consumer".into(), true.into());
    let channel = broker.raw_channel().await;
    let declare = channel.queue_declare(shard.queue().into(), DURABLE, arguments);
    declare.await.unwrap();
    let found = topology::verify_shard(&connection, shard).await;
    assert!(
        matches!(&found, Err(TopologyError::Different { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn an_exchange_of_another_kind_is_named() {
    let broker = Broker::with_shard().await;
    let connection = broker.connect("verify").await;
    let channel = broker.raw_channel().await;
    let exchange = names::EVENTS_EXCHANGE;
    let delete = channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default());
    delete.await.unwrap();
    let kind = lapin::ExchangeKind::Fanout;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let declare = channel.exchange_declare(exchange.into(), kind, options, FieldTable::default());
    declare.await.unwrap();
    let found = topology::verify_shared(&connection).await;
    assert!(
        matches!(&found, Err(TopologyError::Different { object, .. }) if object == exchange),
        "{found:?}"
    );
}

#[tokio::test]
async fn rights_are_asked_for_without_touching_anything() {
    let broker = Broker::with_shard().await;
    broker.publish(1..=3).await;
    let connection = broker.connect("rights").await;
    assert_eq!(missing_rights(&connection, SHARD).await.unwrap(), []);

    let reader = broker
        .user(["^$", "^$", "^orders[.](g|events[.]log)"])
        .await;
    let connection = Connection::open(&reader).await.unwrap();
    let missing = missing_rights(&connection, SHARD).await.unwrap();
    let missing: Vec<_> = missing
        .iter()
        .map(|missing| format!("{} {}", missing.right, missing.object))
        .collect();
    let expected = [
        "read orders.payments",
        "read orders.commands",
        "write orders.events",
        "configure orders.reply.doctor",
        "write amq.default",
    ];
    assert_eq!(missing, expected);

    let connection = broker.connect("ask").await;
    let status = topology::queue_status(&connection, &SHARD.queue()).await;
    let untouched = QueueStatus {
        messages: 3,
        consumers: 0,
    };
    assert_eq!(status.unwrap(), Some(untouched));
}

/// A worker whose user may not configure is told so, and knows no more.
#[tokio::test]
async fn without_the_right_to_configure_nothing_is_compared() {
    let broker = Broker::with_shard().await;
    let user = broker.user(["^$", ".*", ".*"]).await;
    let connection = Connection::open(&user).await.unwrap();
    let found = topology::verify_shard(&connection, SHARD).await;
    assert!(
        matches!(&found, Err(TopologyError::Broker { source, .. }) if source.is_access_refused()),
        "{found:?}"
    );
}

impl Broker {
    /// A new user of this virtual host, with the rights to configure, write and read what these match.
    async fn user(&self, rights: [&str; 3]) -> BrokerConfig {
        let url = self.env.restricted_amqp_url(rights).await;
        BrokerConfig::new(url.unwrap(), "user")
    }
}
