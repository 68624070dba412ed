//! Every answer of the command publisher is true: what it calls stored is stored, once and in order; what it calls certainly not
//! stored is not; and it says unknown rather than guess.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use orderly_broker::{BrokerConfig, CommandPublisher, GenerationSource, Layout, PublishError};
use orderly_domain::OrderId;
use orderly_protocol::{Marker, ShardId, limits};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::broker::{Broker, PATIENCE, set, until};

mod fault;
mod generation;
mod load;

use load::Load;

/// A command publisher and what feeds it.
struct Ingress {
    publisher: CommandPublisher,
    layouts: watch::Sender<Option<Layout>>,
    reload: Arc<Notify>,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Ingress {
    fn start(config: BrokerConfig, layout: Option<Layout>) -> Self {
        let layouts = watch::Sender::new(layout);
        let reload = Arc::new(Notify::new());
        let source = GenerationSource {
            current: layouts.subscribe(),
            reload: Arc::clone(&reload),
        };
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let publisher = CommandPublisher::start(config, source, &tracker, token.clone());
        tracker.close();
        Self {
            publisher,
            layouts,
            reload,
            tracker,
            token,
        }
    }

    /// On generation 1, ready to publish.
    async fn ready(config: BrokerConfig, shard_count: i32) -> Self {
        let ingress = Self::start(
            config,
            Some(Layout {
                generation: 1,
                shard_count,
            }),
        );
        ingress.becomes_ready().await;
        ingress
    }

    async fn becomes_ready(&self) {
        until("the publisher is ready", || self.publisher.is_ready()).await;
    }

    async fn publish(&self, order: u32, seq: u32) -> Result<(), PublishError> {
        self.publisher
            .publish(order_id(order), envelope(order, seq))
            .await
    }

    async fn stop(&self) {
        self.token.cancel();
        tokio::time::timeout(PATIENCE, self.tracker.wait())
            .await
            .expect("it ends when told to");
    }
}

fn order_id(order: u32) -> OrderId {
    OrderId(Uuid::from_u128(u128::from(order)))
}

fn envelope(order: u32, seq: u32) -> Vec<u8> {
    format!(r#"{{"order":{order},"seq":{seq}}}"#).into_bytes()
}

/// The commands of messages, one list a message. Probes mean nothing.
fn groups(bodies: &[Vec<u8>]) -> Vec<Vec<(u32, u32)>> {
    let group = |body: &Vec<u8>| -> Vec<(u32, u32)> {
        let message: Value = serde_json::from_slice(body).unwrap();
        let commands = message["commands"].as_array().unwrap();
        let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
        commands
            .iter()
            .map(|command| (number(&command["order"]), number(&command["seq"])))
            .collect()
    };
    let is_probe = |body: &&Vec<u8>| matches!(Marker::decode(body), Ok(Marker::Probe));
    bodies
        .iter()
        .filter(|body| !is_probe(body))
        .map(group)
        .collect()
}

/// Fails unless each order's commands are in the order in which they were posted.
fn assert_ordered(commands: &[(u32, u32)]) {
    let mut last = BTreeMap::new();
    for (order, seq) in commands {
        let before = last.insert(order, seq);
        assert!(
            before < Some(seq),
            "order {order}: {seq} came after {before:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_wait_together_go_together_and_in_order() {
    let broker = Broker::with_shards(2, 1_000_000).await;
    let ingress = Ingress::ready(broker.config("ingress"), 2).await;
    let load = Load::start(&ingress, 60);
    until("3,000 commands are stored", || load.stored() >= 3_000).await;
    let outcome = load.stop().await;
    ingress.stop().await;
    assert!(outcome.unavailable.is_empty() && outcome.unknown.is_empty());

    let mut commands = Vec::new();
    for shard in 0..2 {
        let groups = groups(
            &broker
                .drain(ShardId {
                    generation: 1,
                    shard,
                })
                .await,
        );
        let count: usize = groups.iter().map(Vec::len).sum();
        assert!(
            count > 3 * groups.len(),
            "{count} commands in {} messages",
            groups.len()
        );
        assert!(
            groups
                .iter()
                .all(|group| group.len() <= limits::MESSAGE_COMMANDS)
        );
        for (order, _) in groups.iter().flatten() {
            assert_eq!(orderly_protocol::shard_of(order_id(*order), 2), shard);
        }
        commands.extend(groups.into_iter().flatten());
    }
    assert_ordered(&commands);
    assert_eq!(set(commands), outcome.stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_order_posted_together_keep_their_order() {
    let broker = Broker::with_shard().await;
    let ingress = Ingress::ready(broker.config("ingress"), 1).await;
    // The first polls of these hand them over one after the other.
    let together = (1..=500).map(|seq| ingress.publish(1, seq));
    let answers = futures_util::future::join_all(together).await;
    assert!(answers.iter().all(Result::is_ok));
    let groups = groups(&broker.drain(crate::broker::SHARD).await);
    assert!(groups.len() < 20, "{} messages", groups.len());
    let expected: Vec<_> = (1..=500).map(|seq| (1, seq)).collect();
    assert!(groups.concat() == expected, "{groups:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_a_full_shard_refused_is_not_stored() {
    let broker = Broker::with_shards(1, 200).await;
    let ingress = Ingress::ready(broker.config("ingress"), 1).await;
    let load = Load::start(&ingress, 10);
    until("the shard is full", || load.full() > 100).await;
    let outcome = load.stop().await;
    assert!(outcome.unavailable.is_empty() && outcome.unknown.is_empty());
    let found = load::take_commands(&broker, outcome.stored.len()).await;
    assert_ordered(&found);
    assert_eq!(set(found), outcome.stored);
    // There is room again.
    ingress.publish(1, u32::MAX).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_everything_and_guesses_nothing() {
    let broker = Broker::with_shards(2, 1_000_000).await;
    let ingress = Ingress::ready(broker.config("ingress"), 2).await;
    let load = Load::start(&ingress, 60);
    until("it is under way", || load.stored() > 500).await;
    ingress.stop().await;
    until("it refuses", || load.refused() > 0).await;
    let outcome = load.stop().await;
    assert!(
        outcome.unknown.is_empty(),
        "what was in flight was waited for"
    );
    let mut found = Vec::new();
    for shard in 0..2 {
        let bodies = broker
            .drain(ShardId {
                generation: 1,
                shard,
            })
            .await;
        found.extend(groups(&bodies).into_iter().flatten());
    }
    assert_eq!(set(found), outcome.stored);
    assert!(!ingress.publisher.is_ready());
    assert_eq!(
        ingress.publish(1, u32::MAX).await,
        Err(PublishError::Unavailable)
    );
}

#[tokio::test]
async fn without_a_broker_it_refuses_at_once() {
    let nowhere = BrokerConfig::new("amqp://guest:guest@127.0.0.1:1/%2f", "ingress");
    let ingress = Ingress::start(
        nowhere,
        Some(Layout {
            generation: 1,
            shard_count: 1,
        }),
    );
    let since = Instant::now();
    assert_eq!(ingress.publish(1, 1).await, Err(PublishError::Unavailable));
    assert!(since.elapsed() < Duration::from_millis(100));
    assert!(!ingress.publisher.is_ready());
    ingress.stop().await;
}

#[tokio::test]
async fn a_command_larger_than_a_group_is_stored() {
    let broker = Broker::with_shard().await;
    let ingress = Ingress::ready(broker.config("ingress"), 1).await;
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(limits::BODY_BYTES));
    ingress
        .publisher
        .publish(order_id(1), large.clone().into_bytes())
        .await
        .unwrap();
    let bodies = broker.drain(crate::broker::SHARD).await;
    assert_eq!(
        bodies,
        [format!(r#"{{"commands":[{large}]}}"#).into_bytes()]
    );
}

#[tokio::test]
async fn what_is_stored_of_commands_sent_together_is_their_beginning() {
    let broker = Broker::with_shards(1, 3).await;
    let ingress = Ingress::ready(broker.config("ingress"), 1).await;
    // 30 messages for a queue of 3.
    let together = (1..=3_840).map(|seq| (order_id(1), envelope(1, seq)));
    let answers = ingress.publisher.publish_together(together.collect());
    let answers = futures_util::future::join_all(answers).await;
    let stored = answers.iter().take_while(|answer| answer.is_ok()).count();
    let refused = &answers[stored..];
    let full = refused
        .iter()
        .take_while(|answer| **answer == Err(PublishError::ShardFull));
    assert_eq!(
        full.count(),
        limits::MESSAGE_COMMANDS,
        "one message was refused"
    );
    let rest = &refused[limits::MESSAGE_COMMANDS..];
    assert!(!rest.is_empty());
    assert!(
        rest.iter()
            .all(|answer| *answer == Err(PublishError::Preceding))
    );

    let connection = broker.connect("take").await;
    let taken = connection.subscribe_shard(&crate::broker::SHARD, crate::broker::PREFETCH);
    let mut taken = taken.await.unwrap();
    for first in (1..)
        .step_by(limits::MESSAGE_COMMANDS)
        .take(stored / limits::MESSAGE_COMMANDS)
    {
        let delivery = crate::broker::next(&mut taken).await;
        let expected: Vec<_> = (first..)
            .map(|seq| (1, seq))
            .take(limits::MESSAGE_COMMANDS)
            .collect();
        assert_eq!(groups(&[delivery.body.to_vec()]).concat(), expected);
    }
    assert!(taken.try_next().is_none());
}
