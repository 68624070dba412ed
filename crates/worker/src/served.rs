//! Which generations are served: followed as they come and go, without ending what is served already.

use std::sync::Arc;
use std::time::Duration;

use orderly_protocol::ShardId;
use orderly_store::{GenerationWatch, ServedGeneration, Store};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// After a load that failed: the database is away, and everything waits for it.
const AGAIN: Duration = Duration::from_secs(1);

/// The generations as they were last loaded. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    generations: watch::Receiver<Arc<[ServedGeneration]>>,
}

impl Served {
    /// Follows them until `stop`, with every load of the layout.
    pub(crate) fn follow(store: Store, layout: &GenerationWatch, stop: CancellationToken) -> Self {
        let (sender, generations) = watch::channel(Arc::from([]));
        let mut loads = layout.current.clone();
        // One that was loaded already counts as new to this task.
        loads.mark_changed();
        let following = async move {
            while loads.changed().await.is_ok() {
                while let Err(error) = load(&store, &sender).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "generations not loaded"
                    );
                    sleep(AGAIN).await;
                }
            }
        };
        tokio::spawn(async move { stop.run_until_cancelled(following).await });
        Self { generations }
    }

    /// As they are now.
    pub(crate) fn now(&self) -> Arc<[ServedGeneration]> {
        Arc::clone(&self.generations.borrow())
    }

    /// Waits until one of them is another than when this was last called on this clone.
    pub(crate) async fn changed(&mut self) {
        if self.generations.changed().await.is_err() {
            // Whoever followed them has stopped, and so will whoever waits here.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this shard may be consumed: those before its generation are drained.
    pub(crate) async fn may_start(&self, shard: ShardId) {
        let mut generations = self.generations.clone();
        let may_start = |all: &Arc<[ServedGeneration]>| {
            all.iter()
                .filter(|one| one.layout.generation == shard.generation)
                .any(|one| one.may_start || one.is_drained)
        };
        if generations.wait_for(may_start).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn load(
    store: &Store,
    sender: &watch::Sender<Arc<[ServedGeneration]>>,
) -> Result<(), orderly_store::StoreError> {
    let served = store.served_generations().await?;
    sender.send_if_modified(|last| {
        let is_new = **last != *served;
        if is_new {
            *last = served.into();
        }
        is_new
    });
    Ok(())
}
