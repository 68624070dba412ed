//! The queue on which one process takes replies to commands that somebody waits for. A lost reply costs only the wait.

use bytes::Bytes;
use lapin::{
    options::{BasicConsumeOptions, QueueDeclareOptions},
    types::FieldTable,
};

use crate::{channel::Channel, consumer::Consumer, error::BrokerError};

/// A consumer of an exclusive queue without acknowledgements.
pub struct ReplyConsumer {
    consumer: Consumer,
}

impl ReplyConsumer {
    pub(crate) async fn open(channel: Channel, name: &str) -> Result<Self, BrokerError> {
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..Default::default()
        };
        let declare = channel
            .client()
            .queue_declare(name.into(), options, FieldTable::default());
        channel.call("declare the reply queue", declare).await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..Default::default()
        };
        let consumer = Consumer::start(channel, name, options, FieldTable::default()).await?;
        Ok(Self { consumer })
    }

    /// The payload of the next reply; waits for it. `None` when the channel or the connection has ended: open a new one.
    ///
    /// # Cancel safety
    /// Safe: no reply is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Bytes> {
        let delivery = self.consumer.next().await??.ok()?;
        Some(delivery.data.into())
    }
}
