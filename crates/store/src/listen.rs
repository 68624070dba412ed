//! Hears what Postgres announces (LISTEN), on a connection of its own. A notification is a hint and may be lost with its
//! connection: whoever listens also polls.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Store, StoreError};

/// Between two attempts to connect: listeners of all processes come back at once after a restart of Postgres.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// For one attempt to connect and subscribe.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Store {
    /// Marks `heard` as changed with every notification on `channel`, and whenever one may have been missed, until
    /// `token` is cancelled.
    pub(crate) async fn listen(
        &self,
        channel: &'static str,
        heard: watch::Sender<()>,
        token: CancellationToken,
    ) {
        let listening = async {
            loop {
                match self.listen_once(channel, &heard).await {
                    Ok(()) => tracing::warn!(channel, "connection of a listener lost"),
                    Err(fault) => tracing::warn!(
                        channel,
                        error = &fault as &dyn std::error::Error,
                        "listener failed"
                    ),
                }
                sleep(RECONNECT_DELAY).await;
            }
        };
        tokio::select! {
            () = token.cancelled() => {}
            () = listening => {}
        }
    }

    /// Listens until the connection is lost.
    async fn listen_once(
        &self,
        channel: &'static str,
        heard: &watch::Sender<()>,
    ) -> Result<(), StoreError> {
        // A pool of one: a listener that borrowed from the pool of the role could starve it.
        let own = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(self.session().as_ref().clone());
        let subscribe = async {
            let mut listener = PgListener::connect_with(&own).await?;
            listener.listen(channel).await?;
            Ok::<_, StoreError>(listener)
        };
        let mut listener =
            timeout(CONNECT_TIMEOUT, subscribe)
                .await
                .unwrap_or(Err(StoreError::TimedOut {
                    after: CONNECT_TIMEOUT,
                }))?;
        listener.eager_reconnect(false);
        // What was announced before this subscription was not heard.
        heard.send_replace(());
        // Waits without a limit, since silence is normal; the poll of whoever listens is the limit.
        while listener.try_recv().await?.is_some() {
            heard.send_replace(());
        }
        Ok(())
    }
}
