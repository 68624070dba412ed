//! The broker goes away under load.

use std::cell::Cell;

use orderly_broker::{Connection, topology};
use orderly_devenv::{DevEnv, DevEnvOptions};

use super::*;
use crate::{broker, proxy::Proxy};

/// How long a quorum queue is not crash-safe after it was declared.
const YOUNG_QUEUE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_true_when_connections_are_cut_under_load() {
    let broker = Broker::with_shards(2, 1_000_000).await;
    let proxy = Proxy::start(&broker).await;
    let ingress = Ingress::ready(BrokerConfig::new(proxy.url(), "ingress"), 2).await;
    let load = Load::start(&ingress, 40);
    for round in 1..=8 {
        let before = load.stored();
        until("commands are stored", || load.stored() > before + 300).await;
        let unknown = load.unknown();
        proxy.cut();
        until("the cut is noticed", || {
            load.unknown() > unknown || load.refused() > 0
        })
        .await;
        ingress.becomes_ready().await;
        println!(
            "round {round}: {} stored, {} unknown",
            load.stored(),
            load.unknown()
        );
    }
    let outcome = load.stop().await;
    ingress.stop().await;
    assert!(!outcome.unknown.is_empty() && !outcome.unavailable.is_empty());
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
    outcome.assert_true_for(found);
}

/// Commands that may wait for one shard.
const PLACES: u32 = 4_096;

#[tokio::test]
async fn only_what_was_written_is_unknown() {
    let broker = Broker::with_shard().await;
    let proxy = Proxy::start(&broker).await;
    let ingress = Ingress::ready(BrokerConfig::new(proxy.url(), "ingress"), 1).await;
    ingress.publish(1, 1).await.unwrap();
    proxy.silence();
    // The first group is written and meets silence; the others wait for it, as many as have a place.
    let refused = Cell::new(0);
    let post = async |seq| {
        let answer = ingress.publish(1, seq).await;
        refused.set(refused.get() + u32::from(answer == Err(PublishError::Unavailable)));
        answer
    };
    let together = futures_util::future::join_all((2..PLACES + 102).map(post));
    let cut = async {
        until("it is written", || proxy.publishes() == 3).await;
        until("the surplus is refused at once", || refused.get() == 100).await;
        proxy.cut();
    };
    let (answers, ()) = tokio::join!(together, cut);
    let written = answers
        .iter()
        .take_while(|answer| **answer == Err(PublishError::Unknown))
        .count();
    assert!(
        (1..=limits::MESSAGE_COMMANDS).contains(&written),
        "{written}"
    );
    let refused = answers[written..]
        .iter()
        .all(|answer| *answer == Err(PublishError::Unavailable));
    assert!(refused, "{answers:?}");
    let bodies = broker.drain(broker::SHARD).await;
    assert_eq!(groups(&bodies), [[(1, 1)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_true_when_the_broker_is_killed_under_load() {
    let env = DevEnv::start(DevEnvOptions::temporary().unwrap())
        .await
        .unwrap();
    let config = BrokerConfig::new(env.amqp_url(), "ingress");
    let setup = Connection::open(&config).await.unwrap();
    topology::declare(&setup, 1, 2).await.unwrap();
    setup.close().await;
    tokio::time::sleep(YOUNG_QUEUE).await;

    let ingress = Ingress::ready(config.clone(), 2).await;
    let load = Load::start(&ingress, 40);
    until("it is under way", || load.stored() > 1_000).await;
    env.rabbitmq().kill().await;
    until("the end is noticed", || !ingress.publisher.is_ready()).await;
    env.rabbitmq().start().await.unwrap();
    ingress.becomes_ready().await;
    let before = load.stored();
    until("it goes on", || load.stored() > before + 500).await;
    let outcome = load.stop().await;
    ingress.stop().await;
    assert!(!outcome.unavailable.is_empty());

    let mut found = Vec::new();
    for shard in 0..2 {
        let bodies = broker::drain(
            &config,
            ShardId {
                generation: 1,
                shard,
            },
        )
        .await;
        found.extend(groups(&bodies).into_iter().flatten());
    }
    outcome.assert_true_for(found);
    env.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_broker_is_not_published_to() {
    let env = DevEnv::start(DevEnvOptions::temporary().unwrap())
        .await
        .unwrap();
    let config = BrokerConfig::new(env.amqp_url(), "ingress");
    let setup = Connection::open(&config).await.unwrap();
    topology::declare(&setup, 1, 2).await.unwrap();
    setup.close().await;
    let ingress = Ingress::ready(config.clone(), 2).await;
    let load = Load::start(&ingress, 40);
    until("it is under way", || load.stored() > 500).await;

    env.rabbitmqctl(&["set_vm_memory_high_watermark", "0.00001"])
        .await
        .unwrap();
    until("the alarm is noticed", || !ingress.publisher.is_ready()).await;
    // Longer than the publishes that were in flight are waited for, so that the connection is opened anew: it must learn of the
    // alarm before it is published to.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(16) {
        assert!(!ingress.publisher.is_ready(), "after {:?}", since.elapsed());
        let asked = Instant::now();
        assert_eq!(
            ingress.publish(1_000, 1).await,
            Err(PublishError::Unavailable)
        );
        assert!(
            asked.elapsed() < Duration::from_millis(500),
            "{:?}",
            asked.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(
        load.unknown() <= 40,
        "only what was in flight: {}",
        load.unknown()
    );

    env.rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"])
        .await
        .unwrap();
    ingress.becomes_ready().await;
    let before = load.stored();
    until("it goes on", || load.stored() > before + 500).await;
    let outcome = load.stop().await;
    ingress.stop().await;
    let mut found = Vec::new();
    for shard in 0..2 {
        let bodies = broker::drain(
            &config,
            ShardId {
                generation: 1,
                shard,
            },
        )
        .await;
        found.extend(groups(&bodies).into_iter().flatten());
    }
    outcome.assert_true_for(found);
    env.stop().await;
}

/// A killed node takes the leaders of queues with it; what is published before there are new ones must not wait for its return.
#[tokio::test]
async fn a_queue_without_a_leader_is_waited_for_and_no_command_with_it() {
    let broker = Broker::with_shard().await;
    let proxy = Proxy::start(&broker).await;
    let ingress = Ingress::ready(BrokerConfig::new(proxy.url(), "ingress"), 1).await;
    ingress.publish(1, 1).await.unwrap();
    let leader = format!("{{'{}_{}', node()}}", broker.vhost(), broker::SHARD.queue());
    let tell = async |what: &str| {
        let tell = format!("ok = ra:{what}_server(quorum_queues, {leader}).");
        broker.ctl(&["eval", &tell]).await;
    };
    tell("stop").await;
    proxy.cut();
    until("the cut is noticed", || !ingress.publisher.is_ready()).await;
    ingress.becomes_ready().await;
    let publishing = async {
        let sent = Instant::now();
        (ingress.publish(1, 2).await, sent.elapsed())
    };
    let leading = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        tell("restart").await;
        Instant::now()
    };
    let ((answer, took), restarted) = tokio::join!(publishing, leading);
    answer.unwrap();
    assert!(restarted.elapsed() < Duration::from_secs(5), "{took:?}");
    let found = groups(&broker.drain(broker::SHARD).await);
    assert_eq!(found.concat(), [(1, 1), (1, 2)]);
}
