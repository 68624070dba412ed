//! The keys that sign receipts, in memory: the newest signs, the one before still verifies.

use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use orderly_http::Check;
use orderly_protocol::receipt::{self, Receipt, ReceiptError};
use orderly_store::Store;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often the keys are read. They change by hand, a few times a year.
const REFRESH_EVERY: Duration = Duration::from_mins(5);

/// How soon a failed read is repeated: without keys no command can be accepted.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// How long one read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// The least time between two reads, whatever is presented.
const READ_APART: Duration = Duration::from_secs(1);

/// Keys that could not be loaded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no receipt keys are loaded")]
pub(crate) struct NoReceiptKeys;

/// The keys as last read. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct ReceiptKeys {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// Newest first; empty until the first read.
    keys: RwLock<Vec<[u8; 32]>>,
    /// When the last read began.
    last_read: Mutex<Option<Instant>>,
}

impl ReceiptKeys {
    /// Keeps the keys fresh until `token` is cancelled. `check` becomes ready with the first read.
    pub(crate) fn start(
        store: Store,
        check: Check,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> Self {
        let inner = Inner {
            store,
            keys: RwLock::default(),
            last_read: Mutex::default(),
        };
        let keys = Self {
            inner: Arc::new(inner),
        };
        let fresh = keys.clone();
        tracker.spawn(async move {
            token.run_until_cancelled(fresh.keep_fresh(&check)).await;
        });
        keys
    }

    /// The token of `receipt`.
    pub(crate) fn sign(&self, receipt: &Receipt) -> Result<String, NoReceiptKeys> {
        let newest = self.keys().first().copied().ok_or(NoReceiptKeys)?;
        Ok(receipt::sign(receipt, &newest))
    }

    /// The receipt in `token`; the inner error says why it is none.
    ///
    /// Another process may have signed with a key that is newer than the last read here. So a signature counts as forged only
    /// after a read that began later than this call, which takes up to [`READ_APART`].
    pub(crate) async fn verify(
        &self,
        token: &str,
    ) -> Result<Result<Receipt, ReceiptError>, NoReceiptKeys> {
        let verified = self.verify_once(token);
        if !matches!(verified, Ok(Err(ReceiptError::Forged)) | Err(NoReceiptKeys)) {
            return verified;
        }
        self.refresh().await;
        self.verify_once(token)
    }

    fn verify_once(&self, token: &str) -> Result<Result<Receipt, ReceiptError>, NoReceiptKeys> {
        let keys = self.keys();
        if keys.is_empty() {
            return Err(NoReceiptKeys);
        }
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 32]>::as_slice).collect();
        Ok(receipt::verify(token, &keys))
    }

    fn keys(&self) -> Vec<[u8; 32]> {
        self.inner
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, keys: Vec<[u8; 32]>) {
        *self
            .inner
            .keys
            .write()
            .unwrap_or_else(PoisonError::into_inner) = keys;
    }

    async fn keep_fresh(&self, check: &Check) {
        loop {
            self.refresh().await;
            let loaded = !self.keys().is_empty();
            if loaded {
                check.ready();
            }
            tokio::time::sleep(if loaded { REFRESH_EVERY } else { RETRY_EVERY }).await;
        }
    }

    /// Reads the keys, or waits for a read that began after this call. What is known stays if the database is away.
    async fn refresh(&self) {
        let asked = Instant::now();
        let mut last_read = self.inner.last_read.lock().await;
        if let Some(last) = *last_read {
            if last >= asked {
                return;
            }
            tokio::time::sleep_until(last + READ_APART).await;
        }
        *last_read = Some(Instant::now());
        let read = tokio::time::timeout(READ_TIMEOUT, self.inner.store.receipt_keys()).await;
        match read {
            Ok(Ok(keys)) => self.replace(keys),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn Error, "cannot read the receipt keys");
            }
            Err(_) => tracing::warn!("reading the receipt keys took too long"),
        }
    }
}
