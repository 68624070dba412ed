//! A reader of a queue of its own, bound to every status event: what another team's service would be. It comes back for as long as
//! it takes, and acknowledges what it has written down.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use orderly_protocol::{CloudEvent, names};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{history::Event, subscriber::Watched};

/// Under way at once: a reader that keeps up.
const PREFETCH: u16 = 200;
/// Before it comes back.
const RETURN_PAUSE: Duration = Duration::from_millis(200);
/// A broker that does not answer for so long is given up.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// One reader.
pub(super) struct QueueReader {
    url: String,
    queue: String,
    watched: Watched,
}

impl QueueReader {
    pub(super) fn new(url: &str, queue: String, watched: Watched) -> Self {
        Self {
            url: url.to_owned(),
            queue,
            watched,
        }
    }

    /// Reads until `token` is cancelled; `open` hears when the queue is there.
    pub(super) async fn run(self, open: watch::Sender<bool>, token: CancellationToken) {
        while !token.is_cancelled() {
            let visiting = async {
                // What ends a visit is no news: the queue keeps what comes meanwhile.
                self.read(&open).await.ok();
                tokio::time::sleep(RETURN_PAUSE).await;
            };
            token.run_until_cancelled(visiting).await;
        }
    }

    async fn read(&self, open: &watch::Sender<bool>) -> Result<()> {
        let connecting = Connection::connect(&self.url, ConnectionProperties::default());
        let connection = tokio::time::timeout(CONNECT_LIMIT, connecting).await;
        let connection = connection.context("no answer")??;
        let channel = connection.create_channel().await?;
        let durable = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let (queue, nothing) = (self.queue.as_str(), FieldTable::default);
        // As for whoever needs the order, as payments do: on every node of a cluster, since a classic queue whose node is down
        // gets nothing, and nobody is told; and one consumer at a time, since the next one would else be given new messages
        // before those that a dead node held.
        let mut arguments = nothing();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        arguments.insert("x-single-active-consumer".into(), true.into());
        channel
            .queue_declare(queue.into(), durable, arguments)
            .await?;
        let bind = QueueBindOptions::default();
        channel
            .queue_bind(
                queue.into(),
                names::EVENTS_EXCHANGE.into(),
                "#".into(),
                bind,
                nothing(),
            )
            .await?;
        let qos = BasicQosOptions::default();
        channel.basic_qos(PREFETCH, qos).await?;
        let consume = BasicConsumeOptions::default();
        let mut deliveries = channel
            .basic_consume(queue.into(), "storm".into(), consume, nothing())
            .await?;
        open.send_replace(true);
        while let Some(delivery) = deliveries.next().await {
            let delivery = delivery?;
            // What is no event is missed by the judge.
            if let Ok(event) = CloudEvent::decode(&delivery.data) {
                self.watched.see(String::new(), Event::from(&event));
            }
            delivery.acker.ack(BasicAckOptions::default()).await?;
        }
        Ok(())
    }
}
