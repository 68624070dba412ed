//! The layout of the shards: which generation takes new commands, and how every process learns of a change at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::resize::insert_shards;
use crate::store::bounded;
use crate::{Store, StoreError};

const CHANNEL: &str = "orderly_generation";

/// A notification can be lost with its connection; this is how late a change is noticed then.
const POLL: Duration = Duration::from_secs(5);

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

/// The layout as last loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadedLayout {
    /// What the last load found; none before the first, and while no generation takes commands. A load that fails changes
    /// nothing: publishing by an old layout is safe, since its routing keys lead nowhere and the broker returns the
    /// message.
    pub layout: Option<Layout>,
    /// Number of loads that succeeded. One that was in flight when a reload was asked for may still show what was before;
    /// the one after it does not.
    pub loads: u64,
}

/// Follows the layout of the shards. Clones follow the same loop.
#[derive(Clone, Debug)]
pub struct GenerationWatch {
    /// Marked as changed by every load that succeeded, whether or not it found something new.
    pub current: watch::Receiver<LoadedLayout>,
    /// `notify_one` asks for a load: for a publisher whose message was returned. Requests that come while one load runs
    /// are served by one more.
    pub reload: Arc<Notify>,
}

/// A generation whose queues are consumed, or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedGeneration {
    /// Its shards.
    pub layout: Layout,
    /// Whether its shards may apply commands: it is current or ends, and every shard of those before it is drained.
    pub may_start: bool,
    /// Whether all its shards are drained: what still arrives is forwarded.
    pub is_drained: bool,
    /// Its shards that nobody may consume for now.
    pub paused: Vec<i32>,
}

impl Store {
    /// The generations whose queues workers consume, now or soon, in order.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn served_generations(&self) -> Result<Vec<ServedGeneration>, StoreError> {
        let rows = bounded(
            sqlx::query!(
                r#"select generation, shard_count, prefetch, state = 'drained' as "is_drained!",
                          (state in ('current', 'draining') and not exists (
                              select from shards
                              join generations as earlier using (generation)
                              where earlier.generation < served.generation
                                and earlier.state in ('current', 'draining')
                                and shards.drained_at is null)) as "may_start!",
                          array(select shards.shard from shards
                                where shards.generation = served.generation
                                  and exists (
                                      select from pauses
                                      where (pauses.generation is null
                                             or (pauses.generation, pauses.shard)
                                                = (shards.generation, shards.shard))
                                        and (expires_at is null
                                             or expires_at > clock_timestamp()))
                                order by shards.shard) as "paused!"
                   from generations as served
                   where state in ('prepared', 'current', 'draining', 'drained')
                   order by generation"#,
            )
            .fetch_all(self.pool()),
        )
        .await?;
        let served = rows.into_iter().map(|row| ServedGeneration {
            layout: Layout {
                generation: row.generation,
                shard_count: row.shard_count,
                prefetch: row.prefetch,
            },
            may_start: row.may_start,
            is_drained: row.is_drained,
            paused: row.paused,
        });
        Ok(served.collect())
    }

    /// The generations that have ended: their queues may be deleted, or be found undeleted.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn ended_generations(&self) -> Result<Vec<Layout>, StoreError> {
        bounded(
            sqlx::query_as!(
                Layout,
                "select generation, shard_count, prefetch from generations
                 where state in ('drained', 'aborted', 'retired')
                 order by generation",
            )
            .fetch_all(self.pool()),
        )
        .await
    }

    /// Nobody consumes the queues of a drained generation any more, once its workers have heard of it.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn retire_generation(&self, generation: i32) -> Result<(), StoreError> {
        self.change_ended(generation, "drained", "retired").await
    }

    /// Its queues are consumed again: something came after all.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn take_back_generation(&self, generation: i32) -> Result<(), StoreError> {
        self.change_ended(generation, "retired", "drained").await
    }

    /// One that is in another state stays so.
    async fn change_ended(&self, generation: i32, from: &str, to: &str) -> Result<(), StoreError> {
        bounded(
            sqlx::query!(
                "update generations set state = $3 where generation = $1 and state = $2",
                generation,
                from,
                to,
            )
            .execute(self.pool()),
        )
        .await?;
        Ok(())
    }

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
                insert_shards(&mut tx, 1, shard_count).await?;
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
    #[must_use]
    pub fn watch_generation(
        &self,
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> GenerationWatch {
        let (heard, announced) = watch::channel(());
        let (loaded, current) = watch::channel(LoadedLayout::default());
        let reload = Arc::new(Notify::new());
        tracker.spawn({
            let (store, token) = (self.clone(), token.clone());
            async move { store.listen(CHANNEL, heard, token).await }
        });
        tracker.spawn({
            let (store, token, reload) = (self.clone(), token.clone(), Arc::clone(&reload));
            async move {
                tokio::select! {
                    () = token.cancelled() => {}
                    () = store.follow_layout(announced, loaded, &reload) => {}
                }
            }
        });
        GenerationWatch { current, reload }
    }

    async fn follow_layout(
        &self,
        mut announced: watch::Receiver<()>,
        loaded: watch::Sender<LoadedLayout>,
        reload: &Notify,
    ) {
        loop {
            // Before the load begins: what is announced from here on is served by the next one.
            announced.mark_unchanged();
            match self.current_layout().await {
                Ok(layout) => loaded.send_modify(|last| {
                    *last = LoadedLayout {
                        layout,
                        loads: last.loads + 1,
                    };
                }),
                Err(fault) => tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    "layout of the shards not loaded"
                ),
            }
            tokio::select! {
                () = sleep(POLL) => {}
                () = reload.notified() => {}
                Ok(()) = announced.changed() => {}
            }
        }
    }
}
