//! The fate of one connection, shared by everything that lives on it. Owns the rule that a connection fails whole, and
//! the time limits of all that waits for the broker.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{error::BrokerError, socket::Socket};

/// Connect, TLS and login together. A healthy broker answers in milliseconds; lapin itself would wait for ever.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// One request and its answer (declare, consume, qos, open a channel). Declaring a quorum queue in a cluster takes tenths of a
/// second, a leader election a few seconds; `basic.consume` on a queue that lost its leader would hang for 60 s.
pub(crate) const RPC_LIMIT: Duration = Duration::from_secs(10);

/// One publish and its confirm. Longer than a leader change (6.2 s measured with a frozen leader) and than the 10 s after
/// which heartbeats find a dead peer only just: whoever waits for an HTTP answer has given up by then.
pub(crate) const PUBLISH_LIMIT: Duration = Duration::from_secs(10);

/// A close of a channel or connection: the broker answers in milliseconds, and cutting the socket does as well.
pub(crate) const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// The state of one connection. It only ever goes from alive to lost.
#[derive(Debug)]
pub(crate) struct Link {
    lost: CancellationToken,
    reason: OnceLock<BrokerError>,
    blocked: watch::Sender<bool>,
    socket: Socket,
}

impl Link {
    pub(crate) fn new(socket: Socket) -> Arc<Self> {
        Arc::new(Self {
            lost: CancellationToken::new(),
            reason: OnceLock::new(),
            blocked: watch::Sender::new(false),
            socket,
        })
    }

    /// Ends the connection: keeps the first reason, cuts the socket, tells everyone.
    pub(crate) fn fail(&self, reason: BrokerError) {
        if !self.is_lost() && !matches!(reason, BrokerError::Closed) {
            tracing::warn!(
                error = &reason as &dyn std::error::Error,
                "broker connection failed"
            );
        }
        self.reason.get_or_init(|| reason);
        self.socket.cut();
        self.lost.cancel();
    }

    pub(crate) fn reason(&self) -> Option<BrokerError> {
        self.reason.get().cloned()
    }

    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    pub(crate) fn blocked(&self) -> &watch::Sender<bool> {
        &self.blocked
    }

    pub(crate) fn is_blocked(&self) -> bool {
        *self.blocked.borrow()
    }

    /// Runs one call to lapin under a time limit. A refusal by the broker leaves the connection alone (the channel is
    /// gone then); no answer ends it, since the request may still be queued inside lapin.
    pub(crate) async fn call<T>(
        &self,
        action: &'static str,
        limit: Duration,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, BrokerError> {
        if self.is_lost() {
            return Err(BrokerError::Lost { action });
        }
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(BrokerError::Failed {
                action,
                source: error.into(),
            }),
            Err(_) => {
                let error = BrokerError::Timeout { action, limit };
                self.fail(error.clone());
                Err(error)
            }
        }
    }
}
