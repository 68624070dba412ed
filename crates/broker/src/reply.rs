//! The queue on which one process takes replies to commands that somebody waits for. A lost reply costs only the wait.

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::{
    Consumer,
    options::{BasicConsumeOptions, QueueDeclareOptions},
    types::FieldTable,
};

use crate::{channel::Channel, error::BrokerError};

/// A consumer of an exclusive queue without acknowledgements.
pub struct ReplyConsumer {
    /// Before the consumer: see the invariant of [`Channel`].
    channel: Channel,
    consumer: Consumer,
}

impl ReplyConsumer {
    pub(crate) async fn open(channel: Channel, name: &str) -> Result<Self, BrokerError> {
        let client = channel.client();
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..Default::default()
        };
        let declare = client.queue_declare(name.into(), options, FieldTable::default());
        channel.call("declare the reply queue", declare).await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..Default::default()
        };
        let consume = client.basic_consume(name.into(), "".into(), options, FieldTable::default());
        let consumer = channel.call("consume the reply queue", consume).await?;
        Ok(Self { channel, consumer })
    }

    /// The payload of the next reply; waits for it. `None` when the channel or the connection has ended: open a new one.
    ///
    /// # Cancel safety
    /// Safe: no reply is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Bytes> {
        let lost = self.channel.link().lost();
        let item = tokio::select! {
            biased;
            () = lost.cancelled() => None,
            item = self.consumer.next() => item,
        };
        item?.ok().map(|delivery| delivery.data.into())
    }
}
