//! Publishing with a confirm. Owns the rule of one outstanding publish per channel, and that an unknown outcome ends the
//! connection.

use std::{io, sync::Arc, time::Duration};

use futures_util::FutureExt;
use lapin::{
    Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};

use orderly_crashpoint::{CrashPoint, Injected, reach};
use orderly_protocol::Marker;

use crate::{
    channel::Channel,
    error::{BrokerError, PublishUnknown},
    link::{Link, PUBLISH_LIMIT},
    message::{Confirm, Message},
};

/// Messages of a window that may await their confirm at once: the rate no longer rises beyond some 100 (measured).
const WINDOW: usize = 128;

/// Metric label of a publish without a confirm, beside those of [`Confirm::as_str`].
const UNKNOWN: &str = "unknown";

/// A publisher on channels of its own.
///
/// Every publish takes `&mut self`: with two `mandatory` publishes outstanding on one channel lapin attaches a return to the wrong
/// one (0.4 to 2.9 % of them reported as stored), and a channel shared by tasks crosses confirms.
///
/// A publish that is dropped midway or times out cuts the connection: lapin would send it later, whenever it can, so its
/// outcome is unknown and nothing after it may be sent in the belief that it was not stored. A probe (`answered`)
/// means nothing, and costs its channel alone.
pub struct Publisher {
    confirmed: Channel,
    /// Opened by the first [`Publisher::publish_unconfirmed`]: one without confirm on a confirming channel would be outstanding
    /// beside the next.
    unconfirmed: Option<Channel>,
    connection: Arc<lapin::Connection>,
}

impl Publisher {
    pub(crate) async fn open(
        connection: Arc<lapin::Connection>,
        confirmed: Channel,
    ) -> Result<Self, BrokerError> {
        let select = confirmed
            .client()
            .confirm_select(ConfirmSelectOptions::default());
        confirmed.call("ask for confirms", select).await?;
        Ok(Self {
            confirmed,
            unconfirmed: None,
            connection,
        })
    }

    /// Can it publish? `false` once its connection is lost; a publish is then certain not to be sent.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.confirmed.link().is_lost() && self.confirmed.client().status().connected()
    }

    /// Has the broker stopped reading from its connection? A publish would wait, and its outcome soon be unknown.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.confirmed.link().is_blocked()
    }

    /// Publishes one message that must reach a queue, and waits up to 10 s for the confirm.
    ///
    /// # Errors
    /// The outcome is unknown, and the connection is lost.
    ///
    /// # Cancel safety
    /// Not safe: dropping the future cuts the connection, and the message may be stored.
    pub async fn publish_mandatory(
        &mut self,
        exchange: &str,
        routing_key: &str,
        message: &Message,
    ) -> Result<Confirm, PublishUnknown> {
        let confirm = self.attempt_mandatory(exchange, routing_key, message).await;
        count(
            confirm.as_ref().map_or(UNKNOWN, |confirm| confirm.as_str()),
            1,
        );
        confirm
    }

    /// [`Publisher::publish_mandatory`] of what means nothing, to see what the broker says. Not counted: it is no message.
    pub(crate) async fn probe(
        &mut self,
        exchange: &str,
        routing_key: &str,
        probe: &Message,
    ) -> Result<Confirm, PublishUnknown> {
        self.attempt_mandatory(exchange, routing_key, probe).await
    }

    /// Publishes a message that means nothing, to see whether it is answered within `limit`. If not, the channel is closed, and
    /// the message may still arrive. Not counted: it is no message.
    pub(crate) async fn answered(
        self,
        exchange: &str,
        routing_key: &str,
        limit: Duration,
    ) -> Result<Answered, BrokerError> {
        let probe = Message::marker(Marker::Probe);
        let publish = self.publish(exchange, routing_key, &probe);
        match tokio::time::timeout(limit, publish).await {
            Ok(Ok(Confirmation::Nack(_))) => Ok(Answered::Refused(self)),
            Ok(Ok(_)) => Ok(Answered::Yes(self)),
            Ok(Err(error)) => Err(BrokerError::Failed {
                action: "probe a queue",
                source: error.into(),
            }),
            Err(_) => Ok(Answered::No),
        }
    }

    async fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        message: &Message,
    ) -> lapin::Result<Confirmation> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let publish = self.confirmed.client().basic_publish(
            exchange.into(),
            routing_key.into(),
            options,
            &message.body,
            message.properties(),
        );
        let confirm = publish.await?;
        reach(CrashPoint::AfterPublish).map_err(failed)?;
        confirm.await
    }

    async fn attempt_mandatory(
        &mut self,
        exchange: &str,
        routing_key: &str,
        message: &Message,
    ) -> Result<Confirm, PublishUnknown> {
        let attempt = Attempt::begin(self.confirmed.link());
        let outcome = attempt.run(self.publish(exchange, routing_key, message));
        let confirm = match outcome.await? {
            Confirmation::Ack(None) => Confirm::Stored,
            Confirmation::Ack(Some(_)) => Confirm::Returned,
            Confirmation::Nack(_) => Confirm::Refused,
            Confirmation::NotRequested => return Err(attempt.unknown(BrokerError::NotConfirmed)),
        };
        attempt.decided();
        Ok(confirm)
    }

    /// Publishes many messages, in order, several at a time, and waits for all their confirms. Answers with the
    /// indexes of those that were refused. A message that no queue is bound for is gone without a trace: this is for
    /// copies of what is stored elsewhere.
    ///
    /// # Errors
    /// The outcome of some is unknown, and the connection is lost.
    ///
    /// # Cancel safety
    /// Not safe, as for [`Publisher::publish_mandatory`].
    pub async fn publish_window(
        &mut self,
        exchange: &str,
        messages: &[(String, Message)],
    ) -> Result<Vec<usize>, PublishUnknown> {
        let mut refused = Vec::new();
        for (start, window) in (0..).step_by(WINDOW).zip(messages.chunks(WINDOW)) {
            let attempt = Attempt::begin(self.confirmed.link());
            let answers = attempt
                .run(self.send_window(exchange, window))
                .await
                .inspect_err(|_| count(UNKNOWN, window.len()))?;
            attempt.decided();
            let nacks = (start..)
                .zip(&answers)
                .filter(|(_, answer)| answer.is_nack());
            let nacks: Vec<usize> = nacks.map(|(index, _)| index).collect();
            count(Confirm::Refused.as_str(), nacks.len());
            count(Confirm::Stored.as_str(), answers.len() - nacks.len());
            refused.extend(nacks);
        }
        Ok(refused)
    }

    async fn send_window(
        &self,
        exchange: &str,
        window: &[(String, Message)],
    ) -> lapin::Result<Vec<Confirmation>> {
        // The first poll of a publish queues its frames: polling each once, one after the other, is what keeps them in order.
        let mut written = Vec::with_capacity(window.len());
        for (routing_key, message) in window {
            let mut publish = Box::pin(self.confirmed.client().basic_publish(
                exchange.into(),
                routing_key.as_str().into(),
                BasicPublishOptions::default(),
                &message.body,
                message.properties(),
            ));
            let first = publish.as_mut().now_or_never();
            written.push((publish, first));
        }
        let mut confirms = Vec::with_capacity(window.len());
        for (publish, first) in written {
            confirms.push(match first {
                Some(confirm) => confirm?,
                None => publish.await?,
            });
        }
        reach(CrashPoint::AfterCopiesSent).map_err(failed)?;
        let mut answers = Vec::with_capacity(window.len());
        for confirm in confirms {
            answers.push(confirm.await?);
        }
        Ok(answers)
    }

    /// Sends a message to a queue through the default exchange without waiting for anything but the write. It is lost if
    /// the queue is gone.
    ///
    /// # Errors
    /// The connection is blocked or lost, or the write took longer than 10 s. The message may be lost either way.
    pub async fn publish_unconfirmed(
        &mut self,
        queue: &str,
        message: &Message,
    ) -> Result<(), BrokerError> {
        const ACTION: &str = "send a reply";
        if self.is_blocked() {
            return Err(BrokerError::Blocked { action: ACTION });
        }
        let link = Arc::clone(self.confirmed.link());
        let channel = match self.unconfirmed.take() {
            Some(channel) => channel,
            None => Channel::open(&self.connection, &link).await?,
        };
        let channel = self.unconfirmed.insert(channel);
        let publish = channel.client().basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            &message.body,
            message.properties(),
        );
        link.call(ACTION, PUBLISH_LIMIT, publish).await.map(drop)
    }
}

/// What became of a probe, and the publisher unless it can no longer be used.
pub(crate) enum Answered {
    /// Stored or returned.
    Yes(Publisher),
    Refused(Publisher),
    No,
}

/// One publish from its first byte to its confirm. Dropped undecided, it cuts the connection.
struct Attempt {
    link: Arc<Link>,
    decided: bool,
}

impl Attempt {
    fn begin(link: &Arc<Link>) -> Self {
        Self {
            link: Arc::clone(link),
            decided: false,
        }
    }

    async fn run<T>(
        &self,
        publish: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, PublishUnknown> {
        self.link
            .call("publish", PUBLISH_LIMIT, publish)
            .await
            .map_err(|error| self.unknown(error))
    }

    fn unknown(&self, error: BrokerError) -> PublishUnknown {
        self.link.fail(error.clone());
        PublishUnknown(error)
    }

    fn decided(mut self) {
        self.decided = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.decided && !self.link.is_lost() {
            self.link.fail(BrokerError::PublishDropped);
        }
    }
}

/// As if the socket had failed.
fn failed(_: Injected) -> lapin::Error {
    io::Error::from(io::ErrorKind::BrokenPipe).into()
}

fn count(outcome: &'static str, messages: usize) {
    metrics::counter!("orderly_publish_confirms_total", "outcome" => outcome)
        .increment(messages as u64);
}
