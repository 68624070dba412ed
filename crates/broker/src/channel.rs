//! One channel, and the only way it ends: `channel.close` before anything that lives on it is dropped.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::{
    error::BrokerError,
    link::{CLOSE_LIMIT, Link, RPC_LIMIT},
};

/// AMQP reply code of a close that is no error.
const SUCCESS: u16 = 200;

/// A channel that closes itself when dropped.
///
/// Invariant: a struct that holds a `lapin::Consumer` declares its `Channel` before it, so that the channel's drop runs first.
/// lapin's consumer sends `basic.cancel` when dropped while it is active, and a cancel with unacked deliveries lets the
/// next consumer overtake them (RABBITMQ: quorum queues requeue only at channel close).
pub(crate) struct Channel {
    client: lapin::Channel,
    link: Arc<Link>,
}

impl Channel {
    pub(crate) async fn open(
        connection: &lapin::Connection,
        link: &Arc<Link>,
    ) -> Result<Self, BrokerError> {
        let client = link
            .call("open a channel", RPC_LIMIT, connection.create_channel())
            .await?;
        Ok(Self {
            client,
            link: Arc::clone(link),
        })
    }

    pub(crate) fn client(&self) -> &lapin::Channel {
        &self.client
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// One request on this channel.
    pub(crate) async fn call<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, BrokerError> {
        self.link.call(action, RPC_LIMIT, call).await
    }

    /// Closes and waits until the broker has done so: all that was acknowledged before is acknowledged, all else is
    /// back in its queue, in order. Frames of one channel are ordered, which is what makes this a hand-over.
    pub(crate) async fn close(&self, reason: &'static str) -> Result<(), BrokerError> {
        let close = self.client.close(SUCCESS, reason.into());
        self.link.call("close a channel", CLOSE_LIMIT, close).await
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // The first poll of a close queues the frame and marks every consumer of the channel as ending, so that none
        // of them sends `basic.cancel` when it is dropped next. It needs no task and no runtime: it works while a
        // panic unwinds. A channel that is closed already answers with an error, which is fine.
        drop(self.client.close(SUCCESS, "dropped".into()).now_or_never());
    }
}
