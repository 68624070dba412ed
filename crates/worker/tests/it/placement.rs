//! Which worker owns which shard: shares, full workers, and views that are wrong.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use orderly_domain::OrderId;

use crate::world::{LIMIT, SHARDS, World, annotate, order_on, place};

/// One order on each shard, and how many commands it got.
struct Orders {
    ids: Vec<OrderId>,
    rounds: usize,
}

impl Orders {
    async fn placed(world: &World) -> Self {
        let ids: Vec<_> = (0..SHARDS).map(order_on).collect();
        for id in &ids {
            world.post_one(&place(*id)).await;
        }
        Self { ids, rounds: 0 }
    }

    /// A command for each order, applied: a worker that becomes active claims with its first delivery.
    async fn round(&mut self, world: &World) {
        self.rounds += 1;
        let value = self.rounds.to_string();
        let commands: Vec<_> = self.ids.iter().map(|id| annotate(*id, &value)).collect();
        for command in &commands {
            world.post_one(command).await;
        }
        for command in &commands {
            world.applied(command).await;
        }
    }

    /// Rounds until each worker owns so many shards, as in `w1:2 w2:2`.
    async fn until_owned(&mut self, world: &World, wanted: &str) {
        let begun = Instant::now();
        loop {
            self.round(world).await;
            let owned = owned(world).await;
            if owned == wanted {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{owned} instead of {wanted}");
        }
    }

    /// Nothing is missing, doubled or out of order, whoever wrote it.
    async fn in_order(&self, world: &World) {
        let wrong = "select count(*) from events
             where version > 1 and data ->> 'value' <> (version - 1)::text";
        assert_eq!(world.sql(wrong).await, "0");
        let expected = (self.rounds + 1) * self.ids.len();
        assert_eq!(
            world.sql("select count(*) from events").await,
            expected.to_string()
        );
    }
}

async fn owned(world: &World) -> String {
    let owned = "select string_agg(owner || ':' || shards, ' ' order by owner)
         from (select owner, count(*) as shards from shards where owner is not null group by owner) as t";
    world.sql(owned).await
}

/// Queue and tag of every consumer of a shard: a new subscription has a new tag.
async fn subscriptions(world: &World) -> BTreeSet<(String, String)> {
    let list = [
        "--quiet",
        "--vhost",
        world.env.vhost(),
        "list_consumers",
        "queue_name",
        "consumer_tag",
    ];
    let listed = world.env.rabbitmqctl(&list).await.unwrap();
    let rows = listed.lines().filter_map(|line| line.split_once('\t'));
    rows.filter(|(queue, _)| queue.starts_with("orders.g1."))
        .map(|(queue, tag)| (queue.to_owned(), tag.to_owned()))
        .collect()
}

/// The subscriptions, once they have not changed for as long as a rank may be held back.
async fn settled(world: &World) -> BTreeSet<(String, String)> {
    let begun = Instant::now();
    let mut last = subscriptions(world).await;
    let mut since = Instant::now();
    while since.elapsed() < LONGER_THAN_HELD {
        assert!(
            begun.elapsed() < LIMIT,
            "they change all the time: {last:?}"
        );
        let now = subscriptions(world).await;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// A rank is held for 7 s, and a heartbeat later everybody knows.
const LONGER_THAN_HELD: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_stays_until_the_owner_claims_and_then_knows_the_epoch() {
    let world = World::new().await;
    let (first, second) = (world.worker("w1"), world.worker("w2"));
    let before = settled(&world).await;
    assert_eq!(before.len(), 8, "each shard has an owner and a standby");
    let placed = place(order_on(1));
    world.post_one(&placed).await;
    world.applied(&placed).await;
    let after = settled(&world).await;
    let new: Vec<_> = after.difference(&before).map(|(queue, _)| queue).collect();
    assert_eq!(new, ["orders.g1.001"], "only its standby subscribed anew");
    assert_eq!(after.len(), 8);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_the_shards_and_the_last_one_has_them_all() {
    let world = World::new().await;
    let first = world.worker("w1");
    let mut orders = Orders::placed(&world).await;
    orders.until_owned(&world, "w1:4").await;
    let second = world.worker("w2");
    orders.until_owned(&world, "w1:2 w2:2").await;
    let workers = "select string_agg(worker || ' ' || cardinality(subscribed), ' ' order by worker) from workers";
    assert_eq!(
        world.sql(workers).await,
        "w1 4 w2 4",
        "each owns two and stands by for two"
    );
    first.stop().await;
    orders.until_owned(&world, "w2:4").await;
    assert_eq!(world.sql("select worker from workers").await, "w2");
    second.stop().await;
    orders.in_order(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_worker_owns_no_more() {
    let world = World::new().await;
    let small = world.worker_of_at_most(NonZeroU16::MIN, "w1");
    let large = world.worker("w2");
    let mut orders = Orders::placed(&world).await;
    orders.until_owned(&world, "w1:1 w2:3").await;
    small.stop().await;
    large.stop().await;
    orders.in_order(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_hands_all_over_and_has_its_share_again_when_that_is_taken_back() {
    let world = World::new().await;
    let (first, second) = (world.worker("w1"), world.worker("w2"));
    let mut orders = Orders::placed(&world).await;
    orders.until_owned(&world, "w1:2 w2:2").await;
    let drain = "insert into drains (worker, drained_by, reason) values ('w1', 'a', 'b')";
    world.sql(drain).await;
    orders.until_owned(&world, "w2:4").await;
    let consumed = "select cardinality(subscribed) from workers where worker = 'w1'";
    let begun = Instant::now();
    while world.sql(consumed).await != "0" {
        assert!(begun.elapsed() < LIMIT, "it stands by");
        orders.round(&world).await;
    }
    world.sql("delete from drains").await;
    orders.until_owned(&world, "w1:2 w2:2").await;
    first.stop().await;
    second.stop().await;
    orders.in_order(&world).await;
}

/// An owner that died stays listed for seconds. Its standby, which the broker makes active at once, must not give the shard
/// back to it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_over_from_the_dead_is_kept() {
    let world = World::new().await;
    // It is missed 5 s after it was seen: soon after the standbys are no longer held.
    world
        .sql(
            "insert into workers (worker, subscribed, declined, seen_at)
             values ('dead', '{g1.000,g1.001,g1.002,g1.003}', '{}', now() + interval '10 seconds')",
        )
        .await;
    let worker = world.worker("w1");
    let before = settled(&world).await;
    assert_eq!(before.len(), 4);
    let mut orders = Orders::placed(&world).await;
    orders.until_owned(&world, "w1:4").await;
    assert_eq!(
        settled(&world).await,
        before,
        "no shard was given up to the dead"
    );
    worker.stop().await;
    orders.in_order(&world).await;
}

/// A worker that is listed and does nothing: at first without a subscription, then as if it had them all.
#[tokio::test(flavor = "multi_thread")]
async fn shards_of_an_owner_that_is_only_listed_are_served_all_the_same() {
    let world = World::new().await;
    world
        .sql("insert into workers (worker, subscribed, declined, seen_at) values ('ghost', '{}', '{}', now() + interval '1 hour')")
        .await;
    let worker = world.worker("w1");
    let mut orders = Orders::placed(&world).await;
    orders.until_owned(&world, "w1:4").await;
    let before = subscriptions(&world).await;
    assert_eq!(before.len(), 4);
    let until = Instant::now() + LONGER_THAN_HELD;
    while Instant::now() < until {
        orders.round(&world).await;
    }
    assert_eq!(
        subscriptions(&world).await,
        before,
        "nobody took over, so nothing was given up"
    );

    world
        .sql("update workers set subscribed = '{g1.000,g1.001,g1.002,g1.003}' where worker = 'ghost'")
        .await;
    let begun = Instant::now();
    while subscriptions(&world).await == before {
        assert!(begun.elapsed() < LIMIT, "it gives way to the ghost");
        orders.round(&world).await;
    }
    // The ghost consumes nothing, so the broker goes on with the only one who does.
    orders.round(&world).await;
    assert_eq!(owned(&world).await, "w1:4");
    worker.stop().await;
    orders.in_order(&world).await;
}
