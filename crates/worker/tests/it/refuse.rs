//! A worker does not serve what would break a promise.

use orderly_broker::topology::{self, TopologyError};
use orderly_protocol::ShardId;

use crate::world::{World, order_on, place};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_was_declared_otherwise_ends_the_worker_before_it_applies_anything() {
    let world = World::with_max_length(1_000).await;
    world.post_one(&place(order_on(0))).await;
    let refused = world.worker("one").ended().await.unwrap_err();
    assert!(
        matches!(&refused.0, TopologyError::Different { difference, .. }
            if difference.contains("x-max-length")),
        "{refused:?}"
    );
    assert_eq!(world.sql("select count(*) from commands").await, "0");
    let queue = ShardId {
        generation: 1,
        shard: 0,
    }
    .queue();
    let status = topology::queue_status(&world.connection, &queue).await;
    assert_eq!(status.unwrap().unwrap().messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_may_not_compare_its_queues_serves_them() {
    let world = World::new().await;
    let command = place(order_on(0));
    world.post_one(&command).await;
    let worker = world.worker_that_may_not_configure("one").await;
    world.applied(&command).await;
    worker.stop().await;
}
