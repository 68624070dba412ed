//! Where the orders in flight stand, as the event stream tells it. Owns the subscription; the stream may end or miss
//! something at any time, so whoever waits here also asks the server now and then.

use std::{collections::HashMap, convert::Infallible, sync::Mutex, time::Duration};

use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::client::{Backoff, Client, ClientError, EventFeed, FeedStart, FromFeed};

/// A stream that cannot be had for so long will not be had: from then on waiting is asking.
const PATIENCE: Duration = Duration::from_mins(10);

/// The last thing heard of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) version: u64,
    pub(crate) status: String,
}

impl Seen {
    /// From the data of an event or an order as it is read.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let version = value.get("version")?.as_u64()?;
        let status = value.get("status")?.as_str()?.to_owned();
        Some(Self { version, status })
    }
}

/// Orders somebody waits for. Bounded by the orders in flight: each is here only while it is followed.
#[derive(Default)]
pub(crate) struct OrderWatch {
    followed: Mutex<HashMap<Uuid, watch::Sender<Seen>>>,
}

/// Interest in one order; it ends with this value.
pub(crate) struct Following<'a> {
    watch: &'a OrderWatch,
    order_id: Uuid,
    seen: watch::Receiver<Seen>,
}

impl OrderWatch {
    /// Begins to follow; to be called before the command whose effect is awaited is sent.
    pub(crate) fn follow(&self, order_id: Uuid) -> Following<'_> {
        let (sender, seen) = watch::channel(Seen::default());
        self.lock().insert(order_id, sender);
        Following {
            watch: self,
            order_id,
            seen,
        }
    }

    /// Reads the stream until `token` is cancelled.
    pub(crate) async fn run(&self, client: &Client, token: &CancellationToken) {
        let mut backoff = Backoff::new(PATIENCE);
        while !token.is_cancelled() {
            if let Some(Err(error)) = token.run_until_cancelled(self.read(client)).await {
                tracing::debug!(error = %error, "the event stream broke off; opening it again");
            }
            let Some(pause) = backoff.next(None) else {
                return;
            };
            if token
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn read(&self, client: &Client) -> Result<Infallible, ClientError> {
        let mut feed = EventFeed::open(client.clone(), Vec::new(), FeedStart::Next).await?;
        loop {
            if let FromFeed::Event { event, .. } = feed.next().await? {
                self.heard(&event);
            }
        }
    }

    fn heard(&self, event: &Value) {
        let data = event.get("data").unwrap_or(event);
        let order_id = data
            .get("order_id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok());
        let (Some(order_id), Some(seen)) = (order_id, Seen::of(data)) else {
            return;
        };
        if let Some(sender) = self.lock().get(&order_id) {
            // A late duplicate of an older version must not hide a newer one.
            sender.send_if_modified(|last| {
                let newer = seen.version > last.version;
                if newer {
                    *last = seen;
                }
                newer
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, watch::Sender<Seen>>> {
        self.followed
            .lock()
            .expect("no code that can panic runs under this lock")
    }
}

impl Following<'_> {
    /// The next thing heard.
    pub(crate) async fn heard(&mut self) -> Seen {
        match self.seen.changed().await {
            Ok(()) => self.seen.borrow_and_update().clone(),
            // Followed twice at once: the other one hears it. The caller's own questions go on.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.watch.lock().remove(&self.order_id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::{OrderWatch, Seen};

    #[tokio::test]
    async fn an_older_event_does_not_hide_a_newer_one() {
        let watch = OrderWatch::default();
        let order_id = Uuid::new_v4();
        let mut following = watch.follow(order_id);
        for (version, status) in [(3, "paid"), (2, "payment_pending")] {
            watch.heard(
                &json!({"data": {"order_id": order_id, "version": version, "status": status}}),
            );
        }
        assert_eq!(
            following.heard().await,
            Seen {
                version: 3,
                status: "paid".into()
            }
        );
        drop(following);
        assert!(watch.lock().is_empty());
    }
}
