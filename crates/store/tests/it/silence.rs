//! A way to the database that falls silent: neither side is told, and new connections work.

use std::time::Duration;

use orderly_protocol::ShardId;
use orderly_store::{SessionProfile, Store, StoreOptions};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::database::Database;

const SHARD: ShardId = ShardId {
    generation: 1,
    shard: 0,
};
/// A frozen or half-open worker must be at work again within 15 s.
const GOAL: Duration = Duration::from_secs(15);

/// Carries connections until it is told to leave those that there are alone.
async fn way(to: String, silent: watch::Receiver<bool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens").to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, mut silent) = (to.clone(), silent.clone());
            tokio::spawn(async move {
                let is_new = *silent.borrow();
                let mut server = TcpStream::connect(to).await.expect("Postgres listens");
                tokio::select! {
                    // Asked first: nothing that comes after it goes through.
                    biased;
                    Ok(_) = silent.wait_for(|silent| *silent && !is_new) => {}
                    // Either side ended it.
                    _ = copy_bidirectional(&mut client, &mut server) => return,
                }
                // Both stay open.
                tokio::time::sleep(Duration::from_mins(1)).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_silent_way_costs_a_worker_less_than_15_s() {
    let database = Database::fresh().await;
    let store = &database.store;
    let generation = store.create_first_generation(1, 32).await;
    generation.expect("the database answers");
    let (before, rest) = database.env.database_url.rsplit_once('@').expect("a user");
    let (server, name) = rest.split_once('/').expect("a database");
    let (silence, silent) = watch::channel(false);
    let address = way(server.to_owned(), silent).await;
    let options = StoreOptions {
        application_name: "silence".to_owned(),
        max_connections: 8,
        profile: SessionProfile::Worker,
    };
    let url = format!("{before}@{address}/{name}");
    let worker = Store::connect(&url, &options).await;
    let worker = worker.expect("the way is open");
    let fence = worker.claim(SHARD, "w1", 0).await;
    let fence = fence.expect("the database answers").expect("nobody else");
    // Sessions and connections that lie idle when it happens.
    for _ in 0..3 {
        let two = tokio::join!(worker.begin_batch(&fence), worker.begin_batch(&fence));
        for batch in [two.0, two.1] {
            let batch = batch
                .expect("the database answers")
                .expect("the fence holds");
            batch.commit().await.expect("the database answers");
        }
        let epochs = tokio::join!(
            worker.epoch(SHARD),
            worker.epoch(SHARD),
            worker.epoch(SHARD)
        );
        epochs.0.expect("the database answers");
    }
    let batch = worker.begin_batch(&fence).await;
    let batch = batch
        .expect("the database answers")
        .expect("the fence holds");

    silence.send_replace(true);
    let began = Instant::now();
    batch.commit().await.expect_err("nobody answers");
    // As a shard comes back: the epoch, then batches.
    assert_eq!(
        worker.epoch(SHARD).await.expect("by a new connection"),
        Some(1)
    );
    let batch = worker.begin_batch(&fence).await;
    let batch = batch.expect("by a new session").expect("the fence holds");
    batch.commit().await.expect("the database answers");
    assert!(began.elapsed() < GOAL, "{:?}", began.elapsed());
}
