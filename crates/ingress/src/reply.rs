//! The reply queue of this process: a connection of its own, opened anew when it is lost. A lost reply costs only a wait.

use std::error::Error;

use orderly_broker::{Backoff, BrokerConfig, BrokerError, Connection, ReplyConsumer};
use orderly_protocol::{Reply, names};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::waiter::Waiters;

/// Where replies are to be sent.
#[derive(Clone, Debug)]
pub(crate) struct ReplyQueue {
    name: watch::Receiver<Option<String>>,
}

impl ReplyQueue {
    /// The name of the queue; `None` while there is none.
    pub(crate) fn name(&self) -> Option<String> {
        self.name.borrow().clone()
    }
}

/// Consumes replies on `tracker` until `token` is cancelled, and hands them to `waiters`.
pub(crate) fn start(
    broker: &BrokerConfig,
    instance: String,
    waiters: Waiters,
    tracker: &TaskTracker,
    token: CancellationToken,
) -> ReplyQueue {
    let broker = broker.named(format!("{} replies", broker.name));
    let (current, name) = watch::channel(None);
    tracker.spawn(async move { supervise(&broker, &instance, &waiters, &current, &token).await });
    ReplyQueue { name }
}

async fn supervise(
    broker: &BrokerConfig,
    instance: &str,
    waiters: &Waiters,
    current: &watch::Sender<Option<String>>,
    token: &CancellationToken,
) {
    let mut backoff = Backoff::default();
    for connection in 1_u64.. {
        // A name is used once: the broker may hold the queue of a lost connection for 15 s more, and it is exclusive.
        let queue = names::reply_queue(&format!("{instance}.{connection}"));
        match token.run_until_cancelled(open(broker, &queue)).await {
            Some(Ok((connection, mut replies))) => {
                backoff.reset();
                current.send_replace(Some(queue));
                while let Some(Some(body)) = token.run_until_cancelled(replies.next()).await {
                    hand_over(&body, waiters);
                }
                current.send_replace(None);
                connection.close().await;
            }
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn Error, "cannot open the reply queue");
            }
            None => return,
        }
        let pause = tokio::time::sleep(backoff.next_pause());
        if token.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

async fn open(
    broker: &BrokerConfig,
    queue: &str,
) -> Result<(Connection, ReplyConsumer), BrokerError> {
    let connection = Connection::open(broker).await?;
    let replies = connection.reply_queue(queue).await?;
    Ok((connection, replies))
}

fn hand_over(body: &[u8], waiters: &Waiters) {
    match Reply::decode(body) {
        Ok(reply) => waiters.answer(&reply),
        Err(error) => tracing::warn!(%error, "a reply that cannot be read"),
    }
}
