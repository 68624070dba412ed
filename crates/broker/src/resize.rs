//! The coordinator's connection: the only one that binds the queues of a generation under traffic, or unbinds them.
//!
//! It holds the exclusive queue `orders.resize.lock` from before its first call to its end. A coordinator that was stopped, or cut off,
//! loses both at once, so that nothing of what it still had in mind reaches the broker after its successor has begun.

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use orderly_protocol::{Marker, ShardId, names};

use crate::{
    channel::Channel,
    connection::Connection,
    error::{BrokerError, PublishUnknown},
    message::{Confirm, Message},
    publisher::Publisher,
    topology::{self, QueueStatus, TopologyError},
};

/// The connection of whoever coordinates a resize.
pub struct ResizeLink {
    connection: Connection,
    publisher: Publisher,
    /// Kept open with the lock that was declared on it.
    _lock: Channel,
}

impl ResizeLink {
    /// Makes this connection the coordinator's; none while another one is.
    ///
    /// # Errors
    /// The connection is lost, or the broker did not answer.
    pub async fn take(connection: Connection) -> Result<Option<Self>, BrokerError> {
        let lock = connection.channel().await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            ..Default::default()
        };
        let queue = names::RESIZE_LOCK_QUEUE.into();
        let declare = lock
            .client()
            .queue_declare(queue, options, FieldTable::default());
        match lock.call("take the lock of a resize", declare).await {
            Ok(_) => {}
            Err(error) if error.is_locked() => {
                connection.close().await;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let publisher = connection.publisher().await?;
        Ok(Some(Self {
            connection,
            publisher,
            _lock: lock,
        }))
    }

    /// Declares the queues of a generation and binds them.
    ///
    /// # Errors
    /// A queue exists with other arguments, or the broker did not answer.
    pub async fn declare(&self, generation: i32, shard_count: i32) -> Result<(), TopologyError> {
        let most = topology::DEFAULT_MAX_LENGTH;
        topology::declare_generation(&self.connection, generation, shard_count, most).await
    }

    /// Takes the queues of a generation off the commands exchange. Without a binding that is there, it does nothing.
    ///
    /// # Errors
    /// The broker did not answer; some may be unbound.
    pub async fn unbind(&self, generation: i32, shard_count: i32) -> Result<(), BrokerError> {
        let channel = self.connection.channel().await?;
        for shard in 0..shard_count {
            let shard = ShardId { generation, shard };
            let unbind = channel.client().queue_unbind(
                shard.queue().into(),
                names::COMMANDS_EXCHANGE.into(),
                shard.routing_key().into(),
                FieldTable::default(),
            );
            channel.call("unbind a queue", unbind).await?;
        }
        Ok(())
    }

    /// Whether this connection's node stores whatever is published to a generation: every key once.
    ///
    /// # Errors
    /// The outcome of a probe is unknown.
    pub async fn is_stored(
        &mut self,
        generation: i32,
        shard_count: i32,
    ) -> Result<bool, PublishUnknown> {
        topology::is_stored(&mut self.publisher, generation, shard_count).await
    }

    /// Whether this connection's node returns whatever is published to a generation: every key once.
    ///
    /// # Errors
    /// The outcome of a probe is unknown.
    pub async fn is_unbound(
        &mut self,
        generation: i32,
        shard_count: i32,
    ) -> Result<bool, PublishUnknown> {
        topology::is_unbound(&mut self.publisher, generation, shard_count).await
    }

    /// Puts a marker behind all that a shard's queue holds.
    ///
    /// # Errors
    /// The outcome is unknown.
    pub async fn mark(
        &mut self,
        shard: ShardId,
        marker: Marker,
    ) -> Result<Confirm, PublishUnknown> {
        // The default exchange: the queue is bound nowhere else any more.
        let message = Message::marker(marker);
        self.publisher
            .publish_mandatory("", &shard.queue(), &message)
            .await
    }

    /// Deletes the queue of a shard that nobody consumes, whatever it holds. One that is gone already is fine.
    ///
    /// # Errors
    /// The broker did not answer.
    pub async fn delete(&self, shard: ShardId) -> Result<(), BrokerError> {
        // Quorum queues know neither `if-empty` nor `if-unused` (RabbitMQ docs, "Quorum queues"): whoever calls this has looked.
        let channel = self.connection.channel().await?;
        let options = QueueDeleteOptions::default();
        let delete = channel.client().queue_delete(shard.queue().into(), options);
        channel.call("delete a queue", delete).await.map(drop)
    }

    /// What the broker says of a shard's queue; `None` if it does not exist.
    ///
    /// # Errors
    /// The broker did not answer.
    pub async fn status(&self, shard: ShardId) -> Result<Option<QueueStatus>, BrokerError> {
        topology::queue_status(&self.connection, &shard.queue()).await
    }

    /// Gives the lock back.
    pub async fn close(self) {
        self.connection.close().await;
    }
}
