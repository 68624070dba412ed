//! `orderly topology retire`: deletes the queues of generations that have ended, when nothing can be in them any more.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use orderly_broker::{BrokerConfig, Connection, ResizeLink, topology};
use orderly_protocol::ShardId;
use orderly_store::{Layout, Store};

use crate::exit::Exit;

/// Workers hear of it at once, or with their next look after 5 s; then they finish what they have begun.
const UNCONSUMED_LIMIT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(200);

/// Deletes what can be. Exits with 3 if something stays.
pub(super) async fn retire(
    store: &Store,
    broker: &BrokerConfig,
    nodes: &[String],
) -> anyhow::Result<Exit> {
    let mut links = Vec::new();
    for url in nodes {
        let config = BrokerConfig::new(url.clone(), broker.name.clone());
        // One that is away may lead commands there yet, when it is back.
        let node = Connection::open(&config).await;
        links.push(node.context("a node of the broker is away; all must be up")?);
    }
    let connection = Connection::open(broker).await;
    let connection = connection.context("connect to the broker")?;
    let Some(mut link) = ResizeLink::take(connection).await? else {
        bail!("a resize is being coordinated; try again after it");
    };
    let mut exit = Exit::Ok;
    for generation in store.ended_generations().await? {
        if !one(store, &mut link, &links, generation).await? {
            exit = Exit::Partly;
        }
    }
    link.close().await;
    for node in links {
        node.close().await;
    }
    Ok(exit)
}

/// Whether nothing is left of it.
async fn one(
    store: &Store,
    link: &mut ResizeLink,
    nodes: &[Connection],
    layout: Layout,
) -> anyhow::Result<bool> {
    let Layout {
        generation,
        shard_count,
        ..
    } = layout;
    let shards: Vec<_> = (0..shard_count)
        .map(|shard| ShardId { generation, shard })
        .collect();
    let mut there = Vec::new();
    for shard in shards {
        if link.status(shard).await?.is_some() {
            there.push(shard);
        }
    }
    if there.is_empty() {
        store.retire_generation(generation).await?;
        return Ok(true);
    }
    // Those of one that was aborted are still bound; nobody ever published there.
    link.unbind(generation, shard_count).await?;
    let mut returns = link.is_unbound(generation, shard_count).await?;
    for node in nodes {
        let mut publisher = node.publisher().await?;
        returns &= topology::is_unbound(&mut publisher, generation, shard_count).await?;
    }
    if !returns {
        eprintln!("generation {generation}: a node still leads commands there; its queues stay");
        return Ok(false);
    }
    store.retire_generation(generation).await?;
    let held = unconsumed(link, &there).await?;
    if held != Some(0) {
        store.take_back_generation(generation).await?;
        match held {
            Some(held) => eprintln!(
                "generation {generation}: {held} messages came; its queues stay, and forward them"
            ),
            None => eprintln!("generation {generation}: somebody consumes its queues; they stay"),
        }
        return Ok(false);
    }
    for shard in &there {
        link.delete(*shard).await?;
    }
    eprintln!("generation {generation}: {} queues deleted", there.len());
    Ok(true)
}

/// What the queues hold, once nobody consumes them; none when somebody goes on.
async fn unconsumed(link: &ResizeLink, shards: &[ShardId]) -> anyhow::Result<Option<u32>> {
    let gives_up_at = Instant::now() + UNCONSUMED_LIMIT;
    loop {
        let (mut consumers, mut messages) = (0, 0);
        for shard in shards {
            if let Some(status) = link.status(*shard).await? {
                consumers += status.consumers;
                messages += status.messages;
            }
        }
        if consumers == 0 {
            return Ok(Some(messages));
        }
        if Instant::now() > gives_up_at {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}
