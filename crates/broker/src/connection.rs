//! One connection to the broker, watched for its end. It is the unit of failure: whatever goes wrong on it ends all of it.
//! It never comes back; whoever needs another one opens it, with a backoff of his own.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use lapin::{ConnectionProperties, ConnectionStatus, Event};
use orderly_protocol::ShardId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    channel::Channel,
    config::BrokerConfig,
    error::BrokerError,
    link::{CLOSE_LIMIT, CONNECT_LIMIT, Link},
    publisher::Publisher,
    reply::ReplyConsumer,
    socket::Socket,
    stream::{StreamOffset, StreamReader},
    subscription::ShardSubscription,
};

/// How often lapin's own state is compared with ours. Its events tell of every end that was seen in tests; one kind
/// (a close by the server with an unknown code) is silent in its source.
const STATUS_CHECK: Duration = Duration::from_secs(1);

/// A connection. Dropping it does not end it while publishers or consumers live on it; [`Connection::close`] does.
///
/// lapin's recovery is off: it would go on delivering on a channel whose delivery tags began anew, and an ack of an old tag
/// then acknowledges deliveries that nobody has processed (measured: 8 lost).
pub struct Connection {
    client: Arc<lapin::Connection>,
    link: Arc<Link>,
}

impl Connection {
    /// Connects and logs in, within 5 s, with a heartbeat of 5 s whatever the URL says.
    ///
    /// # Errors
    /// A bad URL, a refused login or vhost, or no broker in time. An attempt that was given up leaves nothing behind.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up.
    pub async fn open(config: &BrokerConfig) -> Result<Self, BrokerError> {
        let uri = config.uri()?;
        let name = config.name.as_str();
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let socket = Socket::default();
        let link = Link::new(socket.clone());
        // Cuts the half-open socket if this future is dropped or times out.
        let cut = CutOnDrop(Some(socket.clone()));
        let connect = socket.connect(uri, properties);
        let client = link
            .call("connect to the broker", CONNECT_LIMIT, connect)
            .await?;
        cut.disarm();
        let (events, status) = (client.events_listener(), client.status().clone());
        tokio::spawn(watch_connection(Arc::clone(&link), events, status));
        Ok(Self {
            client: Arc::new(client),
            link,
        })
    }

    /// Is cancelled when the connection has ended, for whatever reason, also by [`Connection::close`].
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.link.lost().clone()
    }

    /// Why the connection ended, once it has: the first cause, not what followed from it.
    #[must_use]
    pub fn lost_reason(&self) -> Option<BrokerError> {
        self.link.reason()
    }

    /// Whether the broker has stopped reading from this connection because of a memory or disk alarm. It does so only
    /// after the connection published; consuming connections are not blocked (measured; RabbitMQ docs, "Alarms").
    #[must_use]
    pub fn blocked(&self) -> watch::Receiver<bool> {
        self.link.blocked().subscribe()
    }

    /// Closes the connection and with it everything on it, within 3 s. What consumers held unacknowledged goes back to
    /// its queue in order.
    pub async fn close(self) {
        self.shut().await;
    }

    /// [`Connection::close`] for whoever shares it.
    pub(crate) async fn shut(&self) {
        // lapin answers InvalidState when a channel was dropped just before; the connection is closed all the same.
        let close = self.client.close(200, "closed".into());
        if let Err(error) = self
            .link
            .call("close the connection", CLOSE_LIMIT, close)
            .await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "connection close");
        }
        self.link.fail(BrokerError::Closed);
    }

    /// A publisher on a channel of its own, in confirm mode.
    ///
    /// # Errors
    /// The connection is lost, or the broker did not answer.
    pub async fn publisher(&self) -> Result<Publisher, BrokerError> {
        Publisher::open(Arc::clone(&self.client), self.channel().await?).await
    }

    /// Subscribes to the queue of a shard. Whoever subscribed first is active; the next becomes so when that one's channel
    /// or connection ends (single active consumer).
    ///
    /// `prefetch` must be the constant of the shard's generation: lowering it on a live queue reorders redeliveries.
    ///
    /// # Errors
    /// The queue does not exist, the connection is lost, or the broker did not answer.
    pub async fn subscribe_shard(
        &self,
        shard: &ShardId,
        prefetch: u16,
    ) -> Result<ShardSubscription, BrokerError> {
        self.subscribe_queue(&shard.queue(), prefetch).await
    }

    /// Subscribes to any queue with acknowledgements, as [`Connection::subscribe_shard`] does.
    ///
    /// # Errors
    /// As for [`Connection::subscribe_shard`].
    pub async fn subscribe_queue(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<ShardSubscription, BrokerError> {
        ShardSubscription::open(self.channel().await?, queue, prefetch).await
    }

    /// Declares the exclusive queue of this process for replies and consumes it. The queue ends with the connection.
    ///
    /// # Errors
    /// Another connection holds a queue of this name, the connection is lost, or the broker did not answer.
    pub async fn reply_queue(&self, name: &str) -> Result<ReplyConsumer, BrokerError> {
        ReplyConsumer::open(self.channel().await?, name).await
    }

    /// Reads a stream from an offset on; `prefetch` is how many messages may be on their way at once.
    ///
    /// # Errors
    /// The stream does not exist, the connection is lost, or the broker did not answer.
    pub async fn read_stream(
        &self,
        stream: &str,
        from: StreamOffset,
        prefetch: u16,
    ) -> Result<StreamReader, BrokerError> {
        StreamReader::open(self.channel().await?, stream, from, prefetch).await
    }

    /// Whether the broker has blocked it by now.
    pub(crate) fn is_blocked(&self) -> bool {
        self.link.is_blocked()
    }

    /// Ends the connection at once for this reason.
    pub(crate) fn fail(&self, reason: BrokerError) {
        self.link.fail(reason);
    }

    pub(crate) async fn channel(&self) -> Result<Channel, BrokerError> {
        Channel::open(&self.client, &self.link).await
    }
}

/// Follows one connection until it ends.
async fn watch_connection(
    link: Arc<Link>,
    events: impl Stream<Item = Event>,
    status: ConnectionStatus,
) {
    let mut events = std::pin::pin!(events);
    let mut check = tokio::time::interval(STATUS_CHECK);
    loop {
        let event = tokio::select! {
            () = link.lost().cancelled() => return,
            event = events.next() => event,
            _ = check.tick() => {
                if !status.connected() {
                    link.fail(BrokerError::Lost { action: "watch the connection" });
                }
                continue;
            }
        };
        match event {
            // A channel's error. Its user sees it too and decides; it may have been a question (a passive declare).
            Some(Event::Error(error)) if error.is_amqp_soft_error() => {}
            Some(Event::Error(error)) => {
                link.fail(BrokerError::Failed {
                    action: "keep the connection",
                    source: error.into(),
                });
            }
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(reason, "the broker has blocked the connection");
                link.blocked().send_replace(true);
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!("the broker has unblocked the connection");
                link.blocked().send_replace(false);
            }
            Some(_) => {}
            // lapin has dropped the connection: nobody holds it any more.
            None => return link.fail(BrokerError::Closed),
        }
    }
}

/// Cuts a socket unless told not to.
struct CutOnDrop(Option<Socket>);

impl CutOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            socket.cut();
        }
    }
}
