//! The copies of one round: made from stream messages, published in order, the refused ones tried again for a moment.

use std::time::Duration;

use orderly_broker::{Message, PublishUnknown, Publisher, StreamMessage};
use orderly_protocol::names::{CLOUDEVENT_TYPE, EVENTS_EXCHANGE, event_routing_key};
use orderly_protocol::{CloudEvent, decode_events};

/// Pauses before a refused copy is tried again. A queue refuses when it is full; a consumer that was merely behind has
/// made room by then.
const RETRY_PAUSES: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
];

pub(crate) struct Copier {
    publisher: Publisher,
    copies: Vec<(String, Message)>,
    /// Whether a queue still refused at the end of the last round.
    refusing: bool,
}

impl Copier {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            copies: Vec::new(),
            refusing: false,
        }
    }

    /// Number of copies to publish.
    pub(crate) fn len(&self) -> usize {
        self.copies.len()
    }

    /// Adds a copy of each event of `message`. What cannot be read is logged, counted and passed over: it will not become
    /// readable by waiting, and the events table still has it.
    pub(crate) fn add(&mut self, message: &StreamMessage) {
        match decode_events(&message.body) {
            Ok(events) => self.copies.extend(events.iter().map(copy_of)),
            Err(error) => {
                metrics::counter!("orderly_relay_unreadable_total").increment(1);
                tracing::error!(
                    offset = message.offset,
                    error = &error as &dyn std::error::Error,
                    "message of the event stream cannot be read, passed over"
                );
            }
        }
    }

    /// Publishes the copies and awaits every confirm. Copies that a queue refuses are tried again for less than a second;
    /// then they count as refused, so that nobody's full queue holds up the others.
    pub(crate) async fn publish(&mut self) -> Result<(), PublishUnknown> {
        let copies = std::mem::take(&mut self.copies);
        let total = copies.len();
        let mut refused = self.send(copies).await?;
        // One queue that stays full costs the others one pause, not one a round.
        let pauses = if self.refusing {
            &[][..]
        } else {
            &RETRY_PAUSES
        };
        for pause in pauses {
            if refused.is_empty() {
                break;
            }
            tokio::time::sleep(*pause).await;
            refused = self.send(refused).await?;
        }
        metrics::counter!("orderly_relay_copied_total").increment(total as u64);
        metrics::counter!("orderly_relay_refused_total").increment(refused.len() as u64);
        if !refused.is_empty() && !self.refusing {
            tracing::warn!(
                refused = refused.len(),
                "a queue bound to {EVENTS_EXCHANGE} refuses copies; its consumer must read the gap from the API"
            );
        }
        self.refusing = !refused.is_empty();
        Ok(())
    }

    /// Publishes in order; answers with those that were refused, in order.
    async fn send(
        &mut self,
        copies: Vec<(String, Message)>,
    ) -> Result<Vec<(String, Message)>, PublishUnknown> {
        let refused = self
            .publisher
            .publish_window(EVENTS_EXCHANGE, &copies)
            .await?;
        Ok(refused
            .into_iter()
            .map(|index| copies[index].clone())
            .collect())
    }
}

fn copy_of(event: &CloudEvent) -> (String, Message) {
    // A type that this version does not know is copied too, under its whole name.
    let name = event.event_name().unwrap_or(&event.event_type);
    let message = Message {
        message_id: Some(event.id.clone()),
        ..Message::persistent(event.encode(), CLOUDEVENT_TYPE)
    };
    (event_routing_key(name, event.order_id), message)
}
