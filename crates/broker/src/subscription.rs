//! Consuming a queue in order. Owns the rule that a subscription ends only by `channel.close` or with its connection,
//! and that nothing of a dead one is processed.

use lapin::types::FieldTable;

use crate::{
    channel::Channel,
    consumer::{Arrival, Consumer},
    delivery::Delivery,
    error::{BrokerError, ClientError},
};

/// A consumer of one queue with acknowledgements.
///
/// Deliveries come in queue order. Dropping it, also while a panic unwinds, closes its channel: the broker takes back
/// what was not acknowledged, in order, and activates the next consumer. It never sends `basic.cancel`, after which the next
/// consumer would get later messages while the earlier ones are still held here (measured on 3.10.8 and 4.0.5; RabbitMQ docs,
/// "Queues", message ordering).
pub struct ShardSubscription {
    consumer: Consumer,
    over: Option<Over>,
}

/// How the subscription ended.
#[derive(Clone, Debug)]
enum Over {
    /// The broker ended it: the queue was deleted.
    Cancelled,
    Failed(BrokerError),
}

impl ShardSubscription {
    pub(crate) async fn open(
        channel: Channel,
        queue: &str,
        prefetch: u16,
    ) -> Result<Self, BrokerError> {
        let arguments = FieldTable::default();
        let consumer = Consumer::start_with_prefetch(channel, queue, prefetch, arguments).await?;
        Ok(Self {
            consumer,
            over: None,
        })
    }

    /// The next delivery, in queue order; waits for it.
    ///
    /// `None` means that the queue was deleted. `None` and an error both mean that the subscription is over: drop every
    /// delivery that is held, unprocessed, and subscribe anew. After an error the connection is lost too.
    ///
    /// # Errors
    /// The channel or the connection has ended.
    ///
    /// # Cancel safety
    /// Safe: no delivery is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        while self.over.is_none() {
            match self.consumer.next().await {
                Some(arrival) => {
                    if let Some(delivery) = self.receive(arrival) {
                        return Ok(Some(delivery));
                    }
                }
                None => self.end(None),
            }
        }
        match &self.over {
            Some(Over::Failed(error)) => Err(error.clone()),
            Some(Over::Cancelled) | None => Ok(None),
        }
    }

    /// A delivery that has already arrived. Never waits; `None` also when the subscription is over, which
    /// [`ShardSubscription::next`] then tells.
    pub fn try_next(&mut self) -> Option<Delivery> {
        if self.over.is_some() || self.consumer.channel().link().is_lost() {
            return None;
        }
        let arrival = self.consumer.next_arrived()?;
        self.receive(arrival)
    }

    /// Hand-over: ends the subscription and waits until the broker has taken back what was not acknowledged. The next consumer
    /// begins exactly after the last acknowledged delivery, within milliseconds.
    ///
    /// # Errors
    /// The channel or the connection had ended already, or the broker did not answer within 3 s; the connection is cut then.
    /// The subscription is over in every case.
    ///
    /// # Cancel safety
    /// If the future is dropped after its first poll, the close is under way all the same.
    pub async fn close(self) -> Result<(), BrokerError> {
        self.consumer.channel().close("hand-over").await
    }

    /// Makes a delivery of what lapin gave, or notes how the subscription ended.
    fn receive(&mut self, arrival: Arrival) -> Option<Delivery> {
        match arrival {
            // What lapin still holds of a channel that died is delivered to somebody else already.
            Some(Ok(delivery)) if delivery.acker.poisoned() => self.end(None),
            Some(Ok(delivery)) => {
                return Some(Delivery::new(delivery, self.consumer.channel().link()));
            }
            Some(Err(error)) => self.end(Some(error.into())),
            None => self.over = Some(Over::Cancelled),
        }
        None
    }

    /// The subscription failed. An error of the channel while deliveries are under way takes the connection along in some
    /// runs (`InvalidChannel`, 5 of 14): make it the rule.
    fn end(&mut self, source: Option<ClientError>) {
        const ACTION: &str = "receive a delivery";
        let error = match source {
            Some(source) => BrokerError::Failed {
                action: ACTION,
                source,
            },
            None => BrokerError::Lost { action: ACTION },
        };
        self.consumer.channel().link().fail(error.clone());
        self.over = Some(Over::Failed(error));
    }
}
