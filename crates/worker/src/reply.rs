//! Replies to waiting ingress processes: transient, unconfirmed, and never in the way of a batch.

use bytes::Bytes;
use orderly_broker::{BrokerError, Message, Publisher};
use orderly_protocol::Reply;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Replies waiting to be sent. Ten full batches of all default shards: beyond that, whoever waits asks the record.
const MOST_QUEUED: usize = 40_960;

/// Where shards hand their replies in.
#[derive(Clone, Debug)]
pub(crate) struct Replies {
    sender: mpsc::Sender<(String, Reply)>,
}

impl Replies {
    /// A queue of replies, and the end that [`send_replies`] empties.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<(String, Reply)>) {
        let (sender, receiver) = mpsc::channel(MOST_QUEUED);
        (Self { sender }, receiver)
    }

    /// Hands a reply in, or drops it when too many wait: a lost reply costs only the wait.
    pub(crate) fn send(&self, queue: String, reply: Reply) {
        if self.sender.try_send((queue, reply)).is_err() {
            metrics::counter!("orderly_replies_dropped_total").increment(1);
        }
    }
}

/// Sends replies, after `quiet` only those that are queued, or until the publisher fails.
pub(crate) async fn send_replies(
    mut receiver: mpsc::Receiver<(String, Reply)>,
    mut publisher: Publisher,
    quiet: CancellationToken,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = receiver.recv() => next,
            () = quiet.cancelled() => None,
        };
        let Some((queue, reply)) = next else {
            return;
        };
        let body = Bytes::from(reply.encode());
        let message = Message::transient(body, "application/json");
        match publisher.publish_unconfirmed(&queue, &message).await {
            Ok(()) => {}
            // The connection outlives it, and so must this task.
            Err(BrokerError::Blocked { .. }) => {
                metrics::counter!("orderly_replies_dropped_total").increment(1);
            }
            // The connection's supervisor sees the same failure and begins anew.
            Err(_) => return,
        }
    }
}
