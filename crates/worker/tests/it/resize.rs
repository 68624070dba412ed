//! The number of shards changes while commands flow: nothing is lost, doubled or reordered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orderly_broker::{CommandPublisher, Message, PublishError, ResizeLink};
use orderly_domain::OrderId;
use orderly_protocol::{CloudEvent, Envelope, Marker, encode_commands};
use orderly_store::{Actor, Resize, ResizeStep};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{SHARDS, World, annotate, order_on, place, until};

/// Producers, each with an order of its own: the next command is posted when the one before it was accepted.
struct Load {
    stop: Arc<AtomicBool>,
    /// Whether the last ingress is cut off from the database.
    cut_off: watch::Sender<bool>,
    producers: JoinSet<(OrderId, usize)>,
}

impl Load {
    fn start(world: &World, producers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cut_off = watch::Sender::new(false);
        // Each may meet a new generation before the others do.
        let never = || watch::Sender::new(false).subscribe();
        let ingress = [
            world.ingress("ingress-a", never()),
            world.ingress("ingress-b", never()),
            world.ingress("ingress-c", cut_off.subscribe()),
        ];
        let mut load = Self {
            stop: Arc::clone(&stop),
            cut_off,
            producers: JoinSet::new(),
        };
        for number in 0..producers {
            let (stop, ingress) = (Arc::clone(&stop), ingress.clone());
            load.producers.spawn(async move {
                let order_id = OrderId(Uuid::now_v7());
                accepted(&ingress, number, order_id, &place(order_id)).await;
                let mut count = 1;
                while !stop.load(Ordering::Relaxed) {
                    let command = annotate(order_id, &count.to_string());
                    // Now by the one, now by the other: what they accept keeps its order.
                    accepted(&ingress, number + count, order_id, &command).await;
                    count += 1;
                }
                (order_id, count)
            });
        }
        load
    }

    /// How many commands of each order were accepted.
    async fn stop(self) -> HashMap<OrderId, usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.producers.join_all().await.into_iter().collect()
    }
}

/// Posts until it is accepted, as a producer that retries behind a load balancer.
async fn accepted(
    ingress: &[CommandPublisher],
    first: usize,
    order_id: OrderId,
    command: &Envelope,
) {
    for attempt in first.. {
        let ingress = &ingress[attempt % ingress.len()];
        match ingress.publish(order_id, command.encode()).await {
            Ok(()) => return,
            Err(error) => assert_ne!(error, PublishError::Preceding),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Every accepted command is applied, once, in the order in which it was accepted.
async fn nothing_is_wrong(world: &World, accepted: &HashMap<OrderId, usize>) {
    for (order_id, count) in accepted {
        let of = format!("from events where order_id = '{}'", order_id.0);
        let applied = format!("select count(*) {of}");
        until(|| async { (world.sql(&applied).await == count.to_string()).then_some(()) }).await;
        let wrong = format!(
            "select count(*) {of} and version > 1 and data ->> 'value' <> (version - 1)::text"
        );
        assert_eq!(world.sql(&wrong).await, "0", "{order_id:?}");
    }
    assert_eq!(world.sql("select count(*) from lanes").await, "0");
}

async fn request(world: &World, shards: i32) -> Resize {
    let actor = Actor::local("test");
    let asked = world.store.request_resize(shards, &actor).await;
    asked.unwrap().unwrap()
}

async fn done(world: &World, resize: &Resize) {
    until(|| async {
        let last = world.store.last_resize().await.unwrap().unwrap();
        (last.id == resize.id && last.step == ResizeStep::Done).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_come_and_go_under_load() {
    let world = World::new().await;
    let workers = [world.worker("w1"), world.worker("w2")];
    let load = Load::start(&world, 12);
    for (round, shards) in [6, 3, 7, 1, 5].into_iter().enumerate() {
        // One of three does not hear of the second and the third, and all the same puts nothing where nobody looks.
        load.cut_off.send_replace((1..3).contains(&round));
        let resize = request(&world, shards).await;
        done(&world, &resize).await;
        let layout = world.store.current_layout().await.unwrap().unwrap();
        assert_eq!(layout.shard_count, shards);
    }
    let accepted = load.stop().await;
    nothing_is_wrong(&world, &accepted).await;
    let served = "select string_agg(state, ' ' order by generation) from generations";
    assert_eq!(
        world.sql(served).await,
        "drained drained drained drained drained current"
    );
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_left_goes_on_with_a_resize() {
    let world = World::new().await;
    let mut workers = vec![world.worker("w0"), world.worker("w1")];
    let load = Load::start(&world, 8);
    for (round, shards) in [6, 2, 5, 3].into_iter().enumerate() {
        let resize = request(&world, shards).await;
        // At another moment of the protocol each time; two or three of them at a later one than the last.
        sleep(Duration::from_millis(
            100 + 120 * u64::try_from(round).unwrap(),
        ))
        .await;
        workers.remove(0).stop().await;
        workers.push(world.worker(&format!("w{}", round + 2)));
        done(&world, &resize).await;
    }
    let accepted = load.stop().await;
    nothing_is_wrong(&world, &accepted).await;
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_new_generation_is_applied_before_the_old_one_is_drained() {
    let world = World::new().await;
    let order_id = order_on(0);
    let slow = world.worker("w1");
    let placed = place(order_id);
    world.post_one(&placed).await;
    world.applied(&placed).await;
    // The order is locked away from the worker: the old shard has to wait.
    let holding = world.sql("begin; select 1 from shards where generation = 1 and shard = 0 for update; select pg_sleep(3); commit");
    let first = annotate(order_id, "1");
    let resized = async {
        sleep(Duration::from_millis(200)).await;
        world.post_one(&first).await;
        let resize = request(&world, 1).await;
        until(|| async {
            let layout = world.store.current_layout().await.unwrap().unwrap();
            (layout.generation == 2).then_some(())
        })
        .await;
        let ingress = [world.ingress("ingress", watch::Sender::new(false).subscribe())];
        let second = annotate(order_id, "2");
        accepted(&ingress, 0, order_id, &second).await;
        sleep(Duration::from_millis(500)).await;
        assert!(
            world
                .store
                .outcome(second.command_id)
                .await
                .unwrap()
                .is_none()
        );
        (resize, second)
    };
    let (_, (resize, second)) = tokio::join!(holding, resized);
    world.applied(&second).await;
    done(&world, &resize).await;
    nothing_is_wrong(&world, &HashMap::from([(order_id, 3)])).await;
    slow.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_drained_when_everything_before_is_acked() {
    let world = World::new().await;
    world.delete_stream().await;
    let worker = world.worker("w1");
    let placed = place(order_on(2));
    world.post_one(&placed).await;
    for marker in [Marker::First, Marker::Second] {
        world.publish_to_queue(2, &Message::marker(marker)).await;
    }
    world.applied(&placed).await;
    let drained = "select count(*) from shards where drained_at is not null";
    // Its event has nowhere to go: it is tried again and again, and the shard is not drained meanwhile.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.sql(drained).await, "0");
    world.declare_stream().await;
    until(|| async { (world.sql(drained).await == "1").then_some(()) }).await;
    let told = |events: &[CloudEvent]| events.iter().any(|it| it.command_id == placed.command_id);
    world.stream_until(told).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_arrives_on_a_drained_shard_is_forwarded() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let resize = request(&world, 3).await;
    done(&world, &resize).await;
    let claims = "select sum(epoch) from shards where generation = 1";
    let before = world.sql(claims).await;
    let order_id = order_on(2);
    let placed = place(order_id);
    let message = |envelope: &Envelope| {
        let envelope = envelope.encode();
        Message::commands(encode_commands(std::iter::once(envelope.as_slice())))
    };
    world.publish_to_queue(2, &message(&placed)).await;
    // A marker that comes again means nothing, and holds nothing up.
    world
        .publish_to_queue(2, &Message::marker(Marker::Second))
        .await;
    world
        .publish_to_queue(2, &Message::commands(b"{".to_vec()))
        .await;
    let note = annotate(order_id, "1");
    world.publish_to_queue(2, &message(&note)).await;
    world.applied(&note).await;
    until(|| async { (world.sql("select count(*) from dead_letters").await == "1").then_some(()) })
        .await;
    assert_eq!(
        world.sql(claims).await,
        before,
        "nobody claims a drained shard"
    );
    worker.stop().await;
}

async fn step_is(world: &World, step: ResizeStep) {
    until(|| async {
        let open = world.store.open_resize().await.unwrap().unwrap();
        (open.step == step).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_generation_is_not_current_while_a_node_leads_commands_to_the_old_queues() {
    let world = World::new().await;
    let (node, connection) = world.lagging_node().await;
    let worker = world.worker_with_nodes("w1", vec![node.amqp_url.clone()]);
    let resize = request(&world, 6).await;
    step_is(&world, ResizeStep::Unbinding).await;
    sleep(Duration::from_secs(1)).await;
    let layout = world.store.current_layout().await.unwrap().unwrap();
    assert_eq!(layout.generation, 1, "the node has not heard of it");
    let link = ResizeLink::take(connection).await.unwrap().unwrap();
    link.unbind(1, SHARDS).await.unwrap();
    done(&world, &resize).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_queues_that_store_nothing_hold_a_resize_up_while_it_can_be_aborted() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let load = Load::start(&world, 3);
    let me = Actor::local("test");
    request(&world, 6).await;
    // Paused, it stays where it is for as long as a queue takes to be lost.
    world.store.pause(None, &me, None).await.unwrap().unwrap();
    step_is(&world, ResizeStep::Settling).await;
    world.delete_queue("orders.g2.004").await;
    world.store.resume(None, &me).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let aborted = world.store.abort_resize(&me).await.unwrap();
    assert_eq!(aborted.unwrap().step, ResizeStep::Aborted);
    nothing_is_wrong(&world, &load.stop().await).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_away_holds_a_resize_up_while_it_can_be_aborted() {
    let world = World::new().await;
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = away.local_addr().unwrap().port();
    drop(away);
    let nodes = vec![
        world.env.amqp_url.clone(),
        format!("amqp://127.0.0.1:{port}"),
    ];
    let worker = world.worker_with_nodes("w1", nodes);
    let load = Load::start(&world, 3);
    request(&world, 6).await;
    step_is(&world, ResizeStep::Settling).await;
    sleep(Duration::from_secs(2)).await;
    let aborted = world
        .store
        .abort_resize(&Actor::local("test"))
        .await
        .unwrap();
    assert_eq!(aborted.unwrap().step, ResizeStep::Aborted);
    let accepted = load.stop().await;
    assert!(accepted.values().all(|count| *count > 1), "{accepted:?}");
    nothing_is_wrong(&world, &accepted).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_resize_leaves_everything_as_it_was_and_its_number_is_gone() {
    let world = World::new().await;
    // Nobody coordinates yet: it stays where it is.
    request(&world, 6).await;
    assert!(
        world
            .store
            .abort_resize(&Actor::local("test"))
            .await
            .unwrap()
            .is_some()
    );
    let worker = world.worker("w1");
    let load = Load::start(&world, 4);
    let resize = request(&world, 6).await;
    assert_eq!(resize.to_generation, 3);
    done(&world, &resize).await;
    assert!(
        world
            .store
            .abort_resize(&Actor::local("test"))
            .await
            .unwrap()
            .is_none(),
        "it is done"
    );
    nothing_is_wrong(&world, &load.stop().await).await;
    worker.stop().await;
    let states = "select string_agg(state, ' ' order by generation) from generations";
    assert_eq!(world.sql(states).await, "drained aborted current");
}
