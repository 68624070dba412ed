//! Keeps the publisher connected and its shards those of the current generation, until told to stop.

use std::{sync::Arc, time::Duration};

use orderly_protocol::{Marker, names};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::{Layout, Shared, shard::ShardSet};
use crate::{
    backoff::Backoff,
    config::BrokerConfig,
    connection::Connection,
    error::BrokerError,
    message::{Confirm, Message},
};

/// A connection that lasted this long begins the pauses anew.
const SETTLED: Duration = Duration::from_secs(10);

/// A routing key that no queue is bound by.
const PROBE_KEY: &str = "probe";

/// Runs until the token is cancelled and every command that was taken is answered.
pub(super) async fn run(shared: Arc<Shared>, config: BrokerConfig) {
    let tasks = TaskTracker::new();
    tokio::join!(
        follow_generations(&shared, &tasks),
        keep_connected(&shared, &config, &tasks)
    );
}

/// Starts the shards of each new generation. The tasks of the one before end once they have answered what they took.
async fn follow_generations(shared: &Arc<Shared>, tasks: &TaskTracker) {
    let mut current = shared.generations.current.clone();
    loop {
        let layout = *current.borrow_and_update();
        if let Some(layout) = layout.filter(|layout| is_newer(shared, *layout)) {
            tracing::info!(
                layout.generation,
                layout.shard_count,
                "publishing to a generation"
            );
            let set = ShardSet::start(layout, shared, tasks);
            shared.shards.send_replace(Some(Arc::new(set)));
        }
        tokio::select! {
            () = shared.token.cancelled() => break,
            changed = current.changed() => if changed.is_err() {
                // Whoever fed it is gone; the last layout holds until a publish is returned.
                shared.token.cancelled().await;
                break;
            },
        }
    }
    tasks.close();
}

/// Generations only rise: a late reader must not bring back an old one.
fn is_newer(shared: &Shared, layout: Layout) -> bool {
    let shards = shared.shards.borrow();
    shards
        .as_ref()
        .is_none_or(|shards| layout.generation > shards.generation())
}

/// Opens a connection whenever there is none. At the end waits for the shards to finish with it, then closes it.
async fn keep_connected(shared: &Shared, config: &BrokerConfig, tasks: &TaskTracker) {
    let mut backoff = Backoff::default();
    while !shared.token.is_cancelled() {
        let attempt = tokio::select! {
            () = shared.token.cancelled() => break,
            attempt = connect(config) => attempt,
        };
        match attempt {
            Ok(connection) => {
                tracing::info!("connected to the broker for publishing");
                let connection = Arc::new(connection);
                let since = Instant::now();
                shared
                    .connection
                    .send_replace(Some(Arc::clone(&connection)));
                tokio::select! {
                    () = connection.lost().cancelled_owned() => {}
                    () = finished(shared, tasks) => {}
                }
                shared.connection.send_replace(None);
                connection.shut().await;
                if since.elapsed() > SETTLED {
                    backoff.reset();
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot connect to the broker for publishing");
            }
        }
        tokio::select! {
            () = shared.token.cancelled() => {}
            () = sleep(backoff.next_pause()) => {}
        }
    }
    tasks.wait().await;
}

/// The token is cancelled and the shards have answered everything.
async fn finished(shared: &Shared, tasks: &TaskTracker) {
    shared.token.cancelled().await;
    tasks.wait().await;
}

/// Opens a connection and proves that the exchange can be published to.
///
/// During an alarm the broker blocks a connection only when it publishes, and says so at once: the probe draws that notice before
/// commands are risked, whose outcome would be unknown.
async fn connect(config: &BrokerConfig) -> Result<Connection, BrokerError> {
    let connection = Connection::open(config).await?;
    let mut publisher = connection.publisher().await?;
    let probe = Message::marker(Marker::Probe);
    let probed = publisher
        .probe(names::COMMANDS_EXCHANGE, PROBE_KEY, &probe)
        .await;
    match probed.map_err(|unknown| unknown.0)? {
        Confirm::Returned => {}
        Confirm::Stored | Confirm::Refused => tracing::warn!("a queue is bound by the probe's key"),
    }
    Ok(connection)
}
