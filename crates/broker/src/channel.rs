//! One channel, and the only way it ends: `channel.close`.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::{
    error::BrokerError,
    link::{CLOSE_LIMIT, Link, RPC_LIMIT},
};

/// AMQP reply code of a close that is no error.
const SUCCESS: u16 = 200;

/// A channel that closes itself when dropped.
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

    /// Tells the broker to close the channel, without waiting. The first poll of lapin's close queues the frame and marks every consumer
    /// of the channel as ending, so that none of them sends `basic.cancel` when it is dropped. It needs no task and no
    /// runtime: it works while a panic unwinds. A channel that has ended already answers with an error, which is fine.
    pub(crate) fn end(&self) {
        drop(self.client.close(SUCCESS, "dropped".into()).now_or_never());
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.end();
    }
}
