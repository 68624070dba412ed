//! The layout of the shards: which generation takes new commands, and how every process learns of a change at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::bounded;
use crate::{Store, StoreError};

const CHANNEL: &str = "orderly_generation";

/// A notification can be lost with its connection; this is how late a change is noticed then.
const POLL: Duration = Duration::from_secs(5);

/// How long a caller waits for a load of its own. Above one call's limit, so that it sees every load end.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(25);

/// A generation that takes new commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its number.
    pub generation: i32,
    /// Number of its shards.
    pub shard_count: i32,
    /// Messages a consumer of its queues may hold unacked.
    pub prefetch: i32,
}

/// The newest load of the layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadedLayout {
    /// What it found; after a load that failed, what the last good one found. Publishing by an old layout is safe: its
    /// routing keys no longer lead anywhere, and the broker returns the message.
    pub layout: Option<Layout>,
    /// Number of the newest reload request that this load began after.
    pub serves: u64,
    /// Whether the load succeeded.
    pub fresh: bool,
}

/// Follows the layout of the shards. Clones follow the same loop.
#[derive(Clone, Debug)]
pub struct LayoutWatch {
    loaded: watch::Receiver<LoadedLayout>,
    requests: Arc<ReloadRequests>,
}

#[derive(Debug, Default)]
struct ReloadRequests {
    count: AtomicU64,
    asked: Notify,
}

impl LayoutWatch {
    /// The layout as last loaded.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        self.loaded.borrow().layout
    }

    /// Every load, for whoever wants to wait for the next one.
    #[must_use]
    pub fn loads(&self) -> watch::Receiver<LoadedLayout> {
        self.loaded.clone()
    }

    /// Asks for a load without waiting for it; returns the request's number, which [`LoadedLayout::serves`] reaches.
    pub fn request_reload(&self) -> u64 {
        let request = self.requests.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.requests.asked.notify_one();
        request
    }

    /// The layout by a load that begins after this call: what a publisher needs whose message was returned. None when
    /// it could not be loaded, or when no generation takes commands.
    ///
    /// Cancel safe.
    pub async fn reload(&self) -> Option<Layout> {
        let request = self.request_reload();
        let mut loaded = self.loaded.clone();
        let served = timeout(
            RELOAD_TIMEOUT,
            loaded.wait_for(|load| load.serves >= request),
        )
        .await;
        match served {
            Ok(Ok(load)) if load.fresh => load.layout,
            _ => None,
        }
    }
}

impl Store {
    /// The generation that takes new commands, if there is one.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn current_layout(&self) -> Result<Option<Layout>, StoreError> {
        bounded(
            sqlx::query_as!(
                Layout,
                "select generation, shard_count, prefetch from generations where state = 'current'",
            )
            .fetch_optional(self.pool()),
        )
        .await
    }

    /// Creates the first generation with its shards, unless there is one; returns the layout that is current then.
    /// Several processes may call it at once.
    ///
    /// # Errors
    /// Any fault of the database, and counts that its constraints refuse.
    pub async fn create_first_generation(
        &self,
        shard_count: i32,
        prefetch: i32,
    ) -> Result<Layout, StoreError> {
        bounded(async {
            let mut tx = self.pool().begin().await?;
            let created = sqlx::query!(
                "insert into generations (generation, shard_count, prefetch, state)
                 values (1, $1, $2, 'current')
                 on conflict do nothing",
                shard_count,
                prefetch,
            )
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if created == 1 {
                let shards = sqlx::query!(
                    "insert into shards (generation, shard)
                     select 1, shard from generate_series(0, $1 - 1) as shard",
                    shard_count,
                )
                .execute(&mut *tx)
                .await?
                .rows_affected();
                let expected = usize::try_from(shard_count).unwrap_or_default();
                StoreError::expect_rows("shards", expected, shards)?;
            }
            let layout = sqlx::query_as!(
                Layout,
                "select generation, shard_count, prefetch from generations where state = 'current'",
            )
            .fetch_optional(&mut *tx)
            .await?;
            tx.commit().await?;
            // Only while a generation 1 that was prepared by hand, or aborted, stands in the way.
            layout.ok_or(StoreError::RowCount {
                table: "generations",
                expected: 1,
                actual: 0,
            })
        })
        .await
    }

    /// Follows the layout until `token` is cancelled: loaded at once, on every announcement of Postgres, every 5 s, and on
    /// request.
    pub fn watch_layout(&self, tracker: &TaskTracker, token: &CancellationToken) -> LayoutWatch {
        let (heard, announced) = watch::channel(());
        let (found, loaded) = watch::channel(LoadedLayout::default());
        let requests = Arc::new(ReloadRequests::default());
        let listener = self.clone();
        let listening = token.clone();
        tracker.spawn(async move { listener.listen(CHANNEL, heard, listening).await });
        let loader = self.clone();
        let watch = LayoutWatch {
            loaded,
            requests: Arc::clone(&requests),
        };
        let token = token.clone();
        tracker.spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = loader.follow_layout(announced, found, &requests) => {}
            }
        });
        watch
    }

    async fn follow_layout(
        &self,
        mut announced: watch::Receiver<()>,
        found: watch::Sender<LoadedLayout>,
        requests: &ReloadRequests,
    ) {
        loop {
            // Both are read before the load begins: whatever comes later is served by the next one.
            announced.mark_unchanged();
            let serves = requests.count.load(Ordering::SeqCst);
            let load = self.current_layout().await;
            if let Err(fault) = &load {
                tracing::warn!(
                    error = fault as &dyn std::error::Error,
                    "layout of the shards not loaded"
                );
            }
            found.send_modify(|newest| {
                newest.serves = serves;
                newest.fresh = load.is_ok();
                if let Ok(layout) = load {
                    newest.layout = layout;
                }
            });
            tokio::select! {
                () = sleep(POLL) => {}
                () = requests.asked.notified() => {}
                Ok(()) = announced.changed() => {}
            }
        }
    }
}
