//! A consumer that ends only with its channel. Owns the order in which the two go.

use futures_util::{FutureExt, StreamExt};
use lapin::{
    message::Delivery,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};

use crate::{channel::Channel, error::BrokerError};

/// What lapin's consumer gives; `None` is the end.
pub(crate) type Arrival = Option<lapin::Result<Delivery>>;

/// The only consumer of its channel.
///
/// Invariant: the channel is told to close before lapin's consumer is dropped. That one sends `basic.cancel` when dropped while
/// it is active, and after a cancel the next consumer gets later messages while the earlier ones are still held here.
pub(crate) struct Consumer {
    channel: Channel,
    arrivals: lapin::Consumer,
}

impl Consumer {
    pub(crate) async fn start(
        channel: Channel,
        queue: &str,
        options: BasicConsumeOptions,
        arguments: FieldTable,
    ) -> Result<Self, BrokerError> {
        // The broker makes up the consumer's tag.
        let consume = channel
            .client()
            .basic_consume(queue.into(), "".into(), options, arguments);
        let arrivals = channel.call("consume a queue", consume).await?;
        Ok(Self { channel, arrivals })
    }

    /// As [`Consumer::start`], with at most `prefetch` deliveries unacknowledged at a time.
    pub(crate) async fn start_with_prefetch(
        channel: Channel,
        queue: &str,
        prefetch: u16,
        arguments: FieldTable,
    ) -> Result<Self, BrokerError> {
        let qos = channel
            .client()
            .basic_qos(prefetch, BasicQosOptions::default());
        channel.call("set the prefetch", qos).await?;
        Self::start(channel, queue, BasicConsumeOptions::default(), arguments).await
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Waits for the next arrival; `None` when the connection is lost. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        tokio::select! {
            biased;
            () = self.channel.link().lost().cancelled() => None,
            arrival = self.arrivals.next() => Some(arrival),
        }
    }

    /// What has arrived already.
    pub(crate) fn next_arrived(&mut self) -> Option<Arrival> {
        self.arrivals.next().now_or_never()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Before any field is dropped.
        self.channel.end();
    }
}
