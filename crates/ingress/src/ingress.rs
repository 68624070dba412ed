//! The parts of the ingress and how they start. Owns the list of routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post, put};
use orderly_broker::{BrokerConfig, CommandPublisher};
use orderly_http::{Check, Keyring, Readiness};
use orderly_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::key_cache::KeyCache;
use crate::receipt_key::ReceiptKeys;
use crate::reply::{self, ReplyQueue};
use crate::waiter::Waiters;
use crate::{commands, orders};

/// How often the publisher is asked whether it can publish: within one period of a usual readiness probe.
const PUBLISHER_CHECK: Duration = Duration::from_millis(250);

/// What an ingress is made of.
pub struct IngressOptions {
    /// Read for outcomes and receipt keys, never while a command is accepted.
    pub store: Store,
    /// Stores commands. It must outlive the listener's drain, so that requests in flight get their confirm: cancel its
    /// token only when [`orderly_http::serve`] has returned.
    pub publisher: CommandPublisher,
    /// For the connection that takes replies.
    pub broker: BrokerConfig,
    /// The API keys.
    pub keyring: Keyring,
    /// Takes the checks `broker` and `receipt_keys`.
    pub readiness: Readiness,
    /// Names this process among all that run; part of the name of its reply queue. Visible ASCII, up to 200 characters.
    pub instance: String,
}

/// A started ingress. Cheap to clone.
#[derive(Clone)]
pub struct Ingress {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    publisher: CommandPublisher,
    keyring: Keyring,
    receipt_keys: ReceiptKeys,
    key_cache: KeyCache,
    waiters: Waiters,
    reply_queue: ReplyQueue,
    stopping: CancellationToken,
}

impl Ingress {
    /// Starts the tasks behind the routes on `tracker`: replies, receipt keys, readiness. They end with `token`, which must
    /// be the one that ends the listener: requests that wait for an outcome then answer at once.
    #[must_use]
    pub fn start(
        options: IngressOptions,
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> Self {
        let IngressOptions {
            store,
            publisher,
            broker,
            keyring,
            readiness,
            instance,
        } = options;
        let waiters = Waiters::default();
        let reply_queue = reply::start(&broker, instance, waiters.clone(), tracker, token.clone());
        let receipt_keys = ReceiptKeys::start(
            store.clone(),
            readiness.check("receipt_keys"),
            tracker,
            token.clone(),
        );
        tracker.spawn(watch_publisher(
            publisher.clone(),
            readiness.check("broker"),
            token.clone(),
        ));
        Self {
            inner: Arc::new(Inner {
                store,
                publisher,
                keyring,
                receipt_keys,
                key_cache: KeyCache::new(),
                waiters,
                reply_queue,
                stopping: token.clone(),
            }),
        }
    }

    /// The routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/orders", post(orders::place))
            .route("/v1/orders/{order_id}", put(orders::put))
            .route("/v1/orders/{order_id}/commands", post(commands::post))
            .route("/v1/commands/batch", post(commands::batch))
            .route("/v1/commands/{command_id}", get(commands::get))
            .with_state(self.clone())
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn publisher(&self) -> &CommandPublisher {
        &self.inner.publisher
    }

    pub(crate) fn receipt_keys(&self) -> &ReceiptKeys {
        &self.inner.receipt_keys
    }

    pub(crate) fn key_cache(&self) -> &KeyCache {
        &self.inner.key_cache
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.inner.waiters
    }

    pub(crate) fn reply_queue(&self) -> &ReplyQueue {
        &self.inner.reply_queue
    }

    /// Cancelled when the process stops: nobody waits any longer.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }
}

impl FromRef<Ingress> for Keyring {
    fn from_ref(ingress: &Ingress) -> Self {
        ingress.inner.keyring.clone()
    }
}

async fn watch_publisher(publisher: CommandPublisher, check: Check, token: CancellationToken) {
    let mut period = tokio::time::interval(PUBLISHER_CHECK);
    while token.run_until_cancelled(period.tick()).await.is_some() {
        check.set(publisher.is_ready(), "cannot publish commands");
    }
}
