//! A worker on filled queues, and nothing else running: what the real domain, the real transaction and the real publishing of
//! events reach when neither ingress nor load compete for the cores.
//!
//! The worker always publishes events: there is no switch, so "without events" cannot be measured.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use lapin::{Connection, ConnectionProperties};
use orderly_domain::{OrderId, ProducerId};
use orderly_protocol::{ShardId, encode_commands};
use uuid::Uuid;

use super::{Target, UNIFORM_ORDERS, orders};
use crate::bench::Bench;
use crate::contestant::publish::{SHARDS, confirming, envelope, publish};
use crate::load::{Answer, Sent, command_id};
use crate::program::Program;
use crate::random::Random;
use crate::sample::Sample;
use crate::visible::Watcher;
use crate::{db, judge, procfs, seed};

/// Commands for each measured second: about what a worker applies in one.
const COMMANDS_PER_SECOND: f64 = 15_000.0;
/// Messages of one shard that await their confirm together.
const WINDOW: usize = 16;

/// Fills the queues, starts the worker, waits for the last event.
pub(super) async fn run(bench: &Bench, target: Target, per_message: usize) -> Result<Sample> {
    let program = bench.worker_alone()?;
    let client = db::connect(&program.database_url).await?;
    let count = match target {
        Target::Hot => 1,
        Target::Uniform => UNIFORM_ORDERS,
    };
    let orders = seed::placed_orders(&client, count).await?;
    let watcher = Watcher::start(&program.amqp_url, bench.clock).await?;
    let sent = fill(bench, program, &orders, per_message).await?;

    let servers = bench.groups(None);
    let before = procfs::cpu_seconds(&servers)?;
    let worker = program.start("worker").await?;
    let complete = watcher.reached(&sent).await?;
    let mut used = procfs::used(&before, &procfs::cpu_seconds(&servers)?);
    let own = worker.group().context("the worker ended")?;
    used.extend(procfs::cpu_seconds(&[own])?);
    let metrics = worker.metrics().await?;
    worker.stop().await?;

    let visible = watcher.take();
    let last = visible.values().copied().max().unwrap_or(0);
    let took = first_fence(&client, &orders)
        .await?
        .map(|first| {
            bench
                .clock
                .wall(last)
                .duration_since(first)
                .unwrap_or(Duration::ZERO)
        })
        .unwrap_or_default();
    let commands = sent.len();
    let mut sample = Sample {
        applied_per_s: Some(as_f64(visible.len()) / took.as_secs_f64().max(1e-3)),
        commands_per_batch: metrics
            .get("orderly_batch_size_sum")
            .zip(metrics.get("orderly_batch_size_count"))
            .map(|(sum, count)| sum / count),
        ..Sample::default()
    };
    let each = |(name, used): (&String, &f64)| (name.clone(), used / as_f64(commands) * 1e6);
    sample.cpu_us = used.iter().map(each).collect();
    let history = orders::read(&program.database_url, &orders, 1, sent, Some(visible)).await?;
    let sample = sample.judged(&judge::judge(&history));
    Ok(if complete || !sample.faults.is_empty() {
        sample
    } else {
        sample.with_fault("the worker fell silent before every command came".to_owned())
    })
}

/// The fence of the first batch.
async fn first_fence(
    client: &tokio_postgres::Client,
    orders: &[Uuid],
) -> Result<Option<SystemTime>> {
    let row = client
        .query_one(
            "select min(decided_at) from commands where order_id = any($1) and version > 1",
            &[&orders],
        )
        .await?;
    Ok(row.get(0))
}

/// Publishes the commands, each shard's in order, and returns when all are stored.
async fn fill(
    bench: &Bench,
    program: &Program,
    orders: &[Uuid],
    per_message: usize,
) -> Result<Vec<Sent>> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of commands"
    )]
    let commands = (COMMANDS_PER_SECOND * bench.measured.as_secs_f64()) as u64;
    let first = bench.next_keys();
    let mut random = Random::new(first);
    let mut shards: HashMap<i32, Vec<(usize, u64)>> = HashMap::new();
    for number in first..first + commands {
        let order = random.below(orders.len());
        let shard = ShardId::of(OrderId(orders[order]), 1, SHARDS).shard;
        shards.entry(shard).or_default().push((order, number));
    }
    let connection =
        Connection::connect(&program.amqp_url, ConnectionProperties::default()).await?;
    let mut sent = Vec::new();
    let filling = shards.into_iter().map(|(shard, commands)| {
        let connection = &connection;
        async move {
            let channel = confirming(connection).await?;
            let key = ShardId {
                generation: 1,
                shard,
            }
            .routing_key();
            let messages: Vec<Vec<u8>> = commands
                .chunks(per_message)
                .map(|part| {
                    let envelopes: Vec<Vec<u8>> = part
                        .iter()
                        .map(|(order, number)| envelope(orders[*order], *number))
                        .collect();
                    encode_commands(envelopes.iter().map(Vec::as_slice))
                })
                .collect();
            for window in messages.chunks(WINDOW) {
                // Polled in turn, the first poll of each queues its frames: their order is that of the messages.
                let publishing = window
                    .iter()
                    .map(|message| publish(&channel, &key, message));
                futures_util::future::try_join_all(publishing).await?;
            }
            // The channel goes with the connection: dropped before, it closes by itself, and twice is an error.
            Ok::<_, anyhow::Error>((commands, channel))
        }
    });
    let filled = futures_util::future::try_join_all(filling).await?;
    connection.close(200, "".into()).await?;
    for (commands, _) in filled {
        // Their place in the queue stands for the time: each was stored before the next.
        for (place, (order, number)) in (0_u64..).zip(commands) {
            sent.push(Sent {
                command_id: command_id(ProducerId(Uuid::nil()), number),
                order,
                due: 2 * place,
                begun: 2 * place,
                answered: 2 * place + 1,
                answer: Answer::Accepted,
            });
        }
    }
    Ok(sent)
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
