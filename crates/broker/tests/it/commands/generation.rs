//! A publisher meets the end of a generation.

use lapin::types::FieldTable;
use orderly_broker::topology;
use orderly_protocol::names;

use super::*;

async fn unbind(broker: &Broker, shard: ShardId) {
    let raw = broker.raw_channel().await;
    let (queue, key) = (shard.queue(), shard.routing_key());
    let exchange = names::COMMANDS_EXCHANGE;
    let unbind = raw.queue_unbind(
        queue.as_str().into(),
        exchange.into(),
        key.as_str().into(),
        FieldTable::default(),
    );
    unbind.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resize_under_load_loses_doubles_and_reorders_nothing() {
    let broker = Broker::with_shards(2, 1_000_000).await;
    let ingress = Ingress::ready(broker.config("ingress"), 2).await;
    let load = Load::start(&ingress, 40);
    until("it is under way", || load.stored() > 1_000).await;

    let setup = broker.connect("resize").await;
    topology::declare_generation(&setup, 2, 3, 1_000_000)
        .await
        .unwrap();
    for shard in 0..2 {
        unbind(
            &broker,
            ShardId {
                generation: 1,
                shard,
            },
        )
        .await;
    }
    tokio::time::timeout(PATIENCE, ingress.reload.notified())
        .await
        .expect("it asks");
    ingress.layouts.send_replace(Some(Layout {
        generation: 2,
        shard_count: 3,
    }));
    let before = load.stored();
    until("it goes on", || load.stored() > before + 1_000).await;
    let outcome = load.stop().await;
    ingress.stop().await;
    assert!(outcome.unavailable.is_empty() && outcome.unknown.is_empty());

    let mut found = Vec::new();
    for (generation, shard) in [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)] {
        let bodies = broker.drain(ShardId { generation, shard }).await;
        assert!(!bodies.is_empty());
        found.extend(groups(&bodies).into_iter().flatten());
    }
    assert_ordered(&found);
    assert_eq!(set(found), outcome.stored);
}

#[tokio::test]
async fn returned_commands_of_one_order_keep_their_order() {
    let broker = Broker::with_shard().await;
    let setup = broker.connect("resize").await;
    topology::declare_generation(&setup, 2, 3, 1_000_000)
        .await
        .unwrap();
    let ingress = Ingress::ready(broker.config("ingress"), 1).await;
    unbind(&broker, crate::broker::SHARD).await;
    let flip = async {
        ingress.reload.notified().await;
        ingress.layouts.send_replace(Some(Layout {
            generation: 2,
            shard_count: 3,
        }));
    };
    let together = futures_util::future::join_all((1..=500).map(|seq| ingress.publish(1, seq)));
    let (answers, ()) = tokio::join!(together, flip);
    assert!(answers.iter().all(Result::is_ok));
    let shard = ShardId::of(order_id(1), 2, 3);
    let expected: Vec<_> = (1..=500).map(|seq| (1, seq)).collect();
    let groups = groups(&broker.drain(shard).await);
    assert!(groups.concat() == expected, "{groups:?}");
}

#[tokio::test]
async fn without_a_newer_generation_a_returned_command_is_refused_within_two_seconds() {
    let broker = Broker::with_shard().await;
    let ingress = Ingress::ready(broker.config("ingress"), 1).await;
    unbind(&broker, crate::broker::SHARD).await;
    let since = Instant::now();
    assert_eq!(ingress.publish(1, 1).await, Err(PublishError::NoGeneration));
    let elapsed = since.elapsed();
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(3)).contains(&elapsed),
        "{elapsed:?}"
    );
    tokio::time::timeout(PATIENCE, ingress.reload.notified())
        .await
        .expect("it asked");

    // The generation comes: the next command goes there.
    let setup = broker.connect("resize").await;
    topology::declare_generation(&setup, 2, 1, 1_000)
        .await
        .unwrap();
    ingress.layouts.send_replace(Some(Layout {
        generation: 2,
        shard_count: 1,
    }));
    ingress.publish(1, 2).await.unwrap();
    let bodies = broker
        .drain(ShardId {
            generation: 2,
            shard: 0,
        })
        .await;
    assert_eq!(groups(&bodies), [[(1, 2)]]);
    assert!(broker.drain(crate::broker::SHARD).await.is_empty());
}

#[tokio::test]
async fn a_command_follows_three_generations_and_no_more() {
    let broker = Broker::with_shard().await;
    unbind(&broker, crate::broker::SHARD).await;
    let ingress = Ingress::ready(broker.config("ingress"), 1).await;
    let (layouts, reload) = (ingress.layouts.clone(), Arc::clone(&ingress.reload));
    let flips = tokio::spawn(async move {
        for generation in 2.. {
            reload.notified().await;
            layouts.send_replace(Some(Layout {
                generation,
                shard_count: 1,
            }));
        }
    });
    assert_eq!(ingress.publish(1, 1).await, Err(PublishError::NoGeneration));
    let reached = ingress.layouts.borrow().unwrap().generation;
    assert!(
        (4..=5).contains(&reached),
        "three generations after the first: {reached}"
    );
    flips.abort();
}

#[tokio::test]
async fn an_older_generation_is_never_gone_back_to() {
    let broker = Broker::with_shard().await;
    let ingress = Ingress::ready(broker.config("ingress"), 1).await;
    let setup = broker.connect("resize").await;
    topology::declare_generation(&setup, 2, 1, 1_000)
        .await
        .unwrap();
    ingress.layouts.send_replace(Some(Layout {
        generation: 2,
        shard_count: 1,
    }));
    // A late reader.
    tokio::task::yield_now().await;
    let (mut seq, second) = (
        0,
        ShardId {
            generation: 2,
            shard: 0,
        },
    );
    loop {
        seq += 1;
        ingress.publish(1, seq).await.unwrap();
        if topology::queue_status(&setup, &second.queue())
            .await
            .unwrap()
            .unwrap()
            .messages
            > 0
        {
            break;
        }
    }
    ingress.layouts.send_replace(Some(Layout {
        generation: 1,
        shard_count: 1,
    }));
    for later in seq + 1..seq + 20 {
        ingress.publish(1, later).await.unwrap();
    }
    let found = groups(&broker.drain(second).await)
        .into_iter()
        .flatten()
        .count();
    assert!(found >= 20, "{found}");
}

#[tokio::test]
async fn without_any_generation_it_refuses_and_asks() {
    let broker = Broker::with_shard().await;
    let ingress = Ingress::start(broker.config("ingress"), None);
    let mut answer = Err(PublishError::Unavailable);
    while answer == Err(PublishError::Unavailable) {
        tokio::task::yield_now().await;
        answer = ingress.publish(1, 1).await;
    }
    assert_eq!(answer, Err(PublishError::NoGeneration));
    assert!(!ingress.publisher.is_ready());
    tokio::time::timeout(PATIENCE, ingress.reload.notified())
        .await
        .expect("it asked");
    ingress.layouts.send_replace(Some(Layout {
        generation: 1,
        shard_count: 1,
    }));
    ingress.becomes_ready().await;
    ingress.publish(1, 2).await.unwrap();
}
