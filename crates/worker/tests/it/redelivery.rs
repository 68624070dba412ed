//! Between a commit and its ack: what was done is never done again, and its events are published all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orderly_store::{SessionProfile, Store, StoreOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, annotate, order_on, place};

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_commit_that_could_not_be_published_follow_after_redelivery_in_order() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(1);
    let placed = place(order);
    world.post_one(&placed).await;
    world.applied(&placed).await;
    world.stream_until(|events| events.len() == 1).await;

    // Without the stream every publish is returned: commits go on until the finisher sees it, acks do not.
    world.delete_stream().await;
    let commands: Vec<_> = (0..20).map(|n| annotate(order, &n.to_string())).collect();
    for command in &commands {
        world.post_one(command).await;
    }
    world.applied(&commands[0]).await;
    world.declare_stream().await;
    world.applied(&commands[19]).await;

    let last = format!("{order}.21");
    let events = world
        .stream_until(|events| events.iter().any(|event| event.id == last))
        .await;
    let mut seen = 1;
    for event in events {
        assert!(
            event.version.0 <= seen + 1,
            "{} came before version {}",
            event.id,
            seen + 1
        );
        seen = seen.max(event.version.0);
    }
    assert_eq!(
        seen, 21,
        "every version that was not in the old stream is in the new one"
    );
    worker.stop().await;
    assert_eq!(world.sql("select count(*) from events").await, "21");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_published_again_go_before_those_of_their_own_batch() {
    let world = World::new().await;
    let order = order_on(1);
    let (placed, noted) = (place(order), annotate(order, "a"));
    let worker = world.worker("w1");
    world.post_one(&placed).await;
    world.applied(&placed).await;
    worker.stop().await;
    // As if version 1 had not been published yet.
    world.delete_stream().await;
    world.declare_stream().await;
    world.post(&[placed, noted]).await;
    world.deliver_and_drop(1).await;
    let worker = world.worker("w2");
    let events = world.stream_until(|events| events.len() == 2).await;
    let versions: Vec<_> = events.iter().map(|event| event.version.0).collect();
    assert_eq!(versions, [1, 2]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_a_used_id_publishes_none_of_its_events() {
    let world = World::new().await;
    let worker = world.worker("w1");
    let order = order_on(0);
    let (placed, noted) = (place(order), annotate(order, "a"));
    world.post(&[placed, noted.clone()]).await;
    world.applied(&noted).await;
    worker.stop().await;
    // As if nothing had been published yet: version 2 must not go out before version 1, which is another shard's to publish.
    world.delete_stream().await;
    world.declare_stream().await;
    let mut reused = annotate(order_on(1), "b");
    reused.command_id = noted.command_id;
    let last = place(order_on(1));
    world.post(&[reused, last.clone()]).await;
    world.deliver_and_drop(1).await;
    let worker = world.worker("w2");
    let events = world
        .stream_until(|events| {
            events
                .iter()
                .any(|event| event.command_id == last.command_id)
        })
        .await;
    let orders: Vec<_> = events.iter().map(|event| event.order_id).collect();
    assert_eq!(orders, [last.order_id]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_found_done_and_its_events_are_published() {
    let world = World::new().await;
    let order = order_on(1);
    let commands = [place(order), annotate(order, "a"), annotate(order, "b")];
    world.post(&commands).await;
    let lossy = LossyLink::to(&world.env.database_url).await;
    let options = StoreOptions {
        application_name: "behind-a-lossy-link".to_owned(),
        max_connections: 4,
        profile: SessionProfile::Worker,
    };
    let worker = world.worker_on(Store::connect(&lossy.url, &options).await.unwrap(), "w1");
    let events = world.stream_until(|events| events.len() == 3).await;
    let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            format!("{order}.1"),
            format!("{order}.2"),
            format!("{order}.3")
        ]
    );
    assert!(
        lossy.lost_one.load(Ordering::SeqCst),
        "the answer to a commit was lost"
    );
    worker.stop().await;
    assert_eq!(world.sql("select count(*) from events").await, "3");
}

/// A link to Postgres that carries the first commit of an event there, waits for the answer, and breaks instead of
/// delivering it.
struct LossyLink {
    url: String,
    lost_one: Arc<AtomicBool>,
}

impl LossyLink {
    async fn to(database_url: &str) -> Self {
        let (before, rest) = database_url.rsplit_once('@').unwrap();
        let (host, name) = rest.split_once('/').unwrap();
        let server = host.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{before}@{}/{name}", listener.local_addr().unwrap());
        let lost_one = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&lost_one);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(carry(client, upstream, Arc::clone(&lost)));
            }
        });
        Self { url, lost_one }
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, lost: Arc<AtomicBool>) {
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut wrote_events, mut committing) = (false, false);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(1..) = read else { return };
                let bytes = &from_client[..read.unwrap()];
                wrote_events |= contains(bytes, b"insert into events");
                committing = wrote_events && contains(bytes, b"commit\0");
                if server.write_all(bytes).await.is_err() { return }
            }
            read = server.read(&mut from_server) => {
                let Ok(1..) = read else { return };
                if committing && !lost.swap(true, Ordering::SeqCst) { return }
                if client.write_all(&from_server[..read.unwrap()]).await.is_err() { return }
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
