//! What follows a commit, in order: events to the stream, foreign commands to their shards, then the ack.
//!
//! A task of its own per subscription, so that the confirms of one batch overlap the transaction of the next. One batch
//! at a time: nothing later goes out while an earlier publish is unsure.

use bytes::Bytes;
use orderly_broker::{Confirm, Delivery, Message, Publisher};
use orderly_crashpoint::{CrashPoint, reach};
use orderly_domain::OrderId;
use orderly_protocol::{RecordedEvent, ShardId, encode_commands, encode_events, names, shard_of};
use orderly_store::GenerationWatch;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failure::ShardError;

/// Committed batches that wait for their confirms. Two keep the database busy while one is confirmed; more would only
/// lengthen a hand-over.
const MOST_UNFINISHED: usize = 2;

/// A committed batch.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    pub(crate) events: Vec<RecordedEvent>,
    /// Envelopes of other shards and whose orders they are; without an order, whatever a message held.
    pub(crate) forwards: Vec<(Option<OrderId>, Bytes)>,
    /// Seconds from accept to commit of each decided command.
    pub(crate) waited: Vec<f64>,
    pub(crate) last_delivery: Option<Delivery>,
}

/// What the finisher is given, in order.
#[derive(Debug)]
enum Task {
    Finish(Box<Unfinished>),
    /// Tell when all before this is finished.
    Tell(oneshot::Sender<()>),
}

/// The finisher of one subscription.
#[derive(Debug)]
pub(crate) struct Finisher {
    sender: mpsc::Sender<Task>,
    task: JoinHandle<Result<(), ShardError>>,
    failed: CancellationToken,
}

impl Finisher {
    pub(crate) fn start(publisher: Publisher, layout: GenerationWatch) -> Self {
        let (sender, mut receiver) = mpsc::channel(MOST_UNFINISHED);
        let failed = CancellationToken::new();
        let on_failure = failed.clone();
        let mut steps = Steps { publisher, layout };
        let task = tokio::spawn(async move {
            while let Some(task) = receiver.recv().await {
                let finished = match task {
                    Task::Finish(unfinished) => steps.finish(*unfinished).await,
                    Task::Tell(waiting) => {
                        // Who waited may have been stopped.
                        waiting.send(()).ok();
                        Ok(())
                    }
                };
                if let Err(error) = finished {
                    on_failure.cancel();
                    return Err(error);
                }
            }
            Ok(())
        });
        Self {
            sender,
            task,
            failed,
        }
    }

    /// Hands a committed batch over; waits while too many are unfinished. False when the finisher has failed.
    pub(crate) async fn finish(&self, unfinished: Unfinished) -> bool {
        let task = Task::Finish(Box::new(unfinished));
        self.sender.send(task).await.is_ok()
    }

    /// Waits until everything handed over so far is published and acked. False when the finisher has failed.
    pub(crate) async fn flush(&self) -> bool {
        let (told, waiting) = oneshot::channel();
        self.sender.send(Task::Tell(told)).await.is_ok() && waiting.await.is_ok()
    }

    /// Ends when a publish or an ack has failed: the subscription must end too.
    pub(crate) async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Waits until everything handed over is published and acked.
    pub(crate) async fn drain(self) -> Result<(), ShardError> {
        drop(self.sender);
        self.task
            .await
            .expect("a panic in the finisher ends the process")
    }
}

struct Steps {
    publisher: Publisher,
    layout: GenerationWatch,
}

impl Steps {
    async fn finish(&mut self, unfinished: Unfinished) -> Result<(), ShardError> {
        let begun = Instant::now();
        self.publish(&unfinished.events).await?;
        reach(CrashPoint::AfterConfirm)?;
        self.forward(unfinished.forwards).await?;
        reach(CrashPoint::BeforeAck)?;
        if let Some(delivery) = unfinished.last_delivery {
            delivery.ack_through().await.map_err(ShardError::Broker)?;
            reach(CrashPoint::AfterAck)?;
        }
        for waited in unfinished.waited {
            metrics::histogram!("orderly_command_end_to_end_seconds")
                .record(waited + begun.elapsed().as_secs_f64());
        }
        Ok(())
    }

    async fn publish(&mut self, events: &[RecordedEvent]) -> Result<(), ShardError> {
        for body in encode_events(events) {
            let message = Message::persistent(body, names::CLOUDEVENTS_BATCH_TYPE);
            self.stored("", names::EVENTS_STREAM, &message).await?;
        }
        Ok(())
    }

    /// One message a command, in order. Where they go, order was never proven: each is counted and shown.
    async fn forward(&mut self, forwards: Vec<(Option<OrderId>, Bytes)>) -> Result<(), ShardError> {
        for (order_id, bytes) in forwards {
            let layout = self
                .layout
                .current
                .borrow()
                .layout
                .ok_or(ShardError::NotConfirmed("no generation is known"))?;
            let shard = ShardId {
                generation: layout.generation,
                // What names no order is a dead letter wherever it is read.
                shard: order_id.map_or(0, |order_id| shard_of(order_id, layout.shard_count)),
            };
            tracing::warn!(order.id = ?order_id, %shard, "forwarding a command of another shard");
            let message = Message::commands(match order_id {
                Some(_) => encode_commands(std::iter::once(bytes.as_ref())).into(),
                None => bytes,
            });
            let stored = self
                .stored(names::COMMANDS_EXCHANGE, &shard.routing_key(), &message)
                .await;
            // It may have been returned by a generation that has just ended.
            stored.inspect_err(|_| self.layout.reload.notify_one())?;
            reach(CrashPoint::AfterForward)?;
            metrics::counter!("orderly_forwarded_commands_total").increment(1);
        }
        Ok(())
    }

    async fn stored(
        &mut self,
        exchange: &'static str,
        routing_key: &str,
        message: &Message,
    ) -> Result<(), ShardError> {
        match self
            .publisher
            .publish_mandatory(exchange, routing_key, message)
            .await
        {
            Ok(Confirm::Stored) => Ok(()),
            Ok(Confirm::Returned) => Err(ShardError::NotConfirmed("returned as unroutable")),
            Ok(Confirm::Refused) => Err(ShardError::NotConfirmed("refused by the broker")),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "publish unknown");
                Err(ShardError::NotConfirmed(
                    "unknown: the connection failed or timed out",
                ))
            }
        }
    }
}
