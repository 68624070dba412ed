//! One owner at a time: hand-over, take-over, and the fence.

use orderly_domain::OrderId;
use orderly_protocol::Envelope;

use crate::world::{World, annotate, order_on, place, until};

async fn versions_have_no_gap(world: &World, order: OrderId, commands: &[Envelope]) {
    world.applied(commands.last().unwrap()).await;
    let in_order = world
        .sql(&format!(
            "select count(*) || ' ' || bool_and(data ->> 'value' = (version - 2)::text)
             from events where order_id = '{order}' and version > 1"
        ))
        .await;
    assert_eq!(in_order, format!("{} true", commands.len() - 1));
}

fn numbered(order: OrderId, count: usize) -> Vec<Envelope> {
    let notes = (0..count).map(|n| annotate(order, &n.to_string()));
    std::iter::once(place(order)).chain(notes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_come_and_go_keep_the_order() {
    let world = World::new().await;
    let order = order_on(1);
    let commands = numbered(order, 400);
    let mut worker = world.worker("w0");
    for (round, group) in commands.chunks(40).enumerate() {
        for command in group {
            world.post_one(command).await;
        }
        let next = world.worker(&format!("w{}", round + 1));
        worker.stop().await;
        worker = next;
    }
    versions_have_no_gap(&world, order, &commands).await;
    worker.stop().await;
    assert_eq!(world.sql("select count(*) from commands").await, "401");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_loses_and_reorders_nothing() {
    let world = World::new().await;
    let order = order_on(1);
    let commands = numbered(order, 200);
    let worker = world.worker("w1");
    for (index, command) in commands.iter().enumerate() {
        world.post_one(command).await;
        if index % 60 == 30 {
            world.cut_connections_of("w1").await;
        }
    }
    versions_have_no_gap(&world, order, &commands).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whose_shard_was_claimed_commits_nothing_more() {
    let world = World::new().await;
    let order = order_on(1);
    let worker = world.worker("zombie");
    let placed = place(order);
    world.post_one(&placed).await;
    world.applied(&placed).await;
    // Somebody claims behind the broker's back, and nobody lets him go: whatever the zombie writes now is wrong.
    world
        .sql("update shards set epoch = epoch + 1, owner = 'other' where shard = 1")
        .await;
    world
        .sql(
            "create sequence zombie_writes;
             create function refuse() returns trigger language plpgsql as $$
             begin
                 if (select owner from shards where generation = 1 and shard = 1) <> 'zombie' then
                     perform nextval('zombie_writes');
                     raise exception 'a zombie wrote';
                 end if;
                 return new;
             end $$;
             create trigger refuse before insert on commands for each row execute function refuse();",
        )
        .await;
    let noted = annotate(order, "after a new claim");
    world.post_one(&noted).await;
    world.applied(&noted).await;
    // It was fenced, subscribed anew, read the epoch and claimed: 1, then the other's 2, then 3.
    assert_eq!(
        world
            .sql("select epoch || owner from shards where shard = 1")
            .await,
        "3zombie"
    );
    // A sequence keeps what a rollback takes back.
    let tried = world.sql("select is_called from zombie_writes").await;
    assert_eq!(tried, "f", "the zombie tried to write");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_epoch_is_known_before_anything_can_be_delivered() {
    let world = World::new().await;
    let hold = |table: &'static str| {
        let env = world.env.clone();
        tokio::spawn(async move {
            let hold =
                format!("begin; lock table {table} in access exclusive mode; select pg_sleep(60)");
            env.psql(&[hold.as_str()]).await
        })
    };
    let let_go = |table: &'static str| {
        let sessions_of = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where query like '%{table}%pg_sleep(60)' and datname = current_database() and pid <> pg_backend_pid()"
        );
        let world = &world;
        async move { world.sql(&sessions_of).await }
    };
    let sessions = |what: &'static str| {
        let count = format!(
            "select count(*) from pg_stat_activity where {what} and datname = current_database()"
        );
        let world = &world;
        until(move || {
            let count = count.clone();
            async move { (world.sql(&count).await != "0").then_some(()) }
        })
    };
    // Until the worker knows its generations it ranks nowhere; then their shards are locked away.
    let ranking = hold("workers");
    sessions("wait_event = 'PgSleep'").await;
    let worker = world.worker("w1");
    sessions("wait_event_type = 'Lock' and query like '%insert into workers%'").await;
    let holding = hold("shards");
    sessions("wait_event = 'PgSleep' and query like '%lock table shards%'").await;
    let_go("workers").await;
    assert!(ranking.await.unwrap().is_err(), "its session was ended");
    sessions("wait_event_type = 'Lock' and query like 'select epoch%'").await;
    let consumers = ["--quiet", "--vhost", world.env.vhost(), "list_consumers"];
    let consumers = world.env.rabbitmqctl(&consumers).await.unwrap();
    assert!(!consumers.contains("orders.g1."), "{consumers}");
    let_go("shards").await;
    assert!(holding.await.unwrap().is_err(), "its session was ended");
    let placed = place(order_on(1));
    world.post_one(&placed).await;
    world.applied(&placed).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_for_the_batch_in_flight() {
    let world = World::new().await;
    let shard = orderly_protocol::ShardId {
        generation: 1,
        shard: 2,
    };
    let old = world.store.claim(shard, "old", 0).await.unwrap().unwrap();
    let batch = world.store.begin_batch(&old).await.unwrap().unwrap();
    let store = world.store.clone();
    let claim = tokio::spawn(async move { store.claim(shard, "new", 1).await });
    until(|| async {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                       and query like 'update shards%' and datname = current_database()";
        (world.sql(waiting).await == "1").then_some(())
    })
    .await;
    batch.commit().await.unwrap();
    assert_eq!(claim.await.unwrap().unwrap().unwrap().epoch, 2);
    assert!(
        world.store.begin_batch(&old).await.unwrap().is_none(),
        "the old owner is fenced"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_two_claims_of_the_same_epoch_succeeds() {
    let world = World::new().await;
    let shard = orderly_protocol::ShardId {
        generation: 1,
        shard: 2,
    };
    let (a, b) = tokio::join!(
        world.store.claim(shard, "a", 0),
        world.store.claim(shard, "b", 0)
    );
    assert!(a.unwrap().is_some() ^ b.unwrap().is_some());
}
