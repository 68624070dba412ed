//! One client's stream: from the ring where it holds the client's place, from the stream where it does not, with heartbeats
//! in between. Owns when a stream ends: with the client, with the process, or when the client does not read.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use orderly_broker::{Connection, StreamMessage, StreamOffset};
use orderly_protocol::names::EVENTS_STREAM;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::filter::{Filter, Start};
use super::frame::{self, ResetReason, events_of};
use super::hub::{EventHub, Tail};
use super::position::Position;
use super::ring::{Found, StreamEvent};

/// Open streams of one process. Each costs a task and up to [`QUEUE_CHUNKS`] chunks.
pub(super) const CLIENTS: usize = 1_000;

/// Clients that read the stream by themselves at once, because the ring does not hold their place. Each holds a channel and
/// [`CATCH_UP_PREFETCH`] messages; further ones wait their turn.
pub(super) const CATCH_UPS: usize = 16;

/// Messages under way to one catching up, at most 1 MiB each.
const CATCH_UP_PREFETCH: u16 = 4;

/// Chunks written and not yet taken by the connection. A client that does not take them for [`SLOW_CLIENT`] has lost its stream.
pub(super) const QUEUE_CHUNKS: usize = 8;

/// Bytes that are put together into one chunk: a busy stream is not one system call an event.
const CHUNK_BYTES: usize = 32 << 10;

/// Events that `from=recent` begins with: as many as a page lists.
const RECENT_EVENTS: usize = 200;

/// Events taken from the ring at once, so that its lock is held for microseconds.
const READ_EVENTS: usize = 256;

/// Proxies close what is silent for 30 or 60 s; this is half of the shorter one.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A client that takes nothing for this long would keep its chunks and its place for nothing; it resumes by its last id.
const SLOW_CLIENT: Duration = Duration::from_secs(10);

/// Another process may have read further than this one, by milliseconds; only a place that this one does not reach in this
/// time does not exist.
const AHEAD_LIMIT: Duration = Duration::from_secs(2);

/// A message that exists comes within milliseconds; silence means that the stream was truncated meanwhile, or is stuck.
const CATCH_UP_SILENCE: Duration = Duration::from_secs(5);

/// Pause before the stream is asked again after a catch-up failed: the hub needs as long to find a lost connection.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(500);

/// The stream is over: the client left, does not read, or the process stops.
struct Ended;

/// A client and where it stands.
pub(super) struct Client {
    hub: EventHub,
    filter: Filter,
    chunks: mpsc::Sender<Bytes>,
    place: Position,
    /// Whether the client saw the event before its place, so that a gap after it is one it must hear of.
    seen: bool,
    heartbeat_at: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Client {
    /// Starts the stream on the hub's tracker; the chunks end when it is over.
    pub(super) fn start(
        hub: &EventHub,
        start: Start,
        filter: Filter,
        permit: OwnedSemaphorePermit,
    ) -> mpsc::Receiver<Bytes> {
        let (sender, chunks) = mpsc::channel(QUEUE_CHUNKS);
        let client = Self {
            hub: hub.clone(),
            filter,
            chunks: sender,
            place: Position::default(),
            seen: false,
            heartbeat_at: Instant::now() + HEARTBEAT,
            _permit: permit,
        };
        hub.tasks().spawn(async move {
            let gauge = metrics::gauge!("orderly_sse_clients");
            gauge.increment(1.0);
            let Err(Ended) = client.run(start).await;
            gauge.decrement(1.0);
        });
        chunks
    }

    async fn run(mut self, start: Start) -> Result<Infallible, Ended> {
        let mut tail = self.hub.tail();
        self.begin(start, &mut tail).await?;
        loop {
            // Before the ring is read: what comes later wakes the wait below.
            tail.mark_unchanged();
            match self.hub.read(self.place, READ_EVENTS) {
                Found::Events(events, next) => {
                    self.send_events(events.iter().map(Arc::as_ref), next)
                        .await?;
                }
                Found::UpToDate => self.wait(tail.changed()).await?.map_err(|_| Ended)?,
                Found::Ahead => self.ahead(&mut tail).await?,
                Found::Behind => self.catch_up(&mut tail).await?,
            }
        }
    }

    /// Finds the place where the client begins, and tells it that the stream is open.
    async fn begin(&mut self, start: Start, tail: &mut watch::Receiver<Tail>) -> Result<(), Ended> {
        match start {
            Start::Now => {
                self.place = self.end(tail).await?;
                self.seen = self.place.last_event_id().is_some();
            }
            Start::Recent => {
                self.end(tail).await?;
                self.place = self.hub.recent(RECENT_EVENTS);
            }
            Start::First => {}
            Start::After(place) => {
                self.place = place;
                self.seen = true;
            }
        }
        self.send(frame::greeting(self.place)).await
    }

    /// The end of what was read so far, as soon as the stream was first seen.
    async fn end(&mut self, tail: &mut watch::Receiver<Tail>) -> Result<Position, Ended> {
        let end = async { tail.wait_for(|tail| tail.known).await.map(|tail| tail.end) };
        self.wait(end).await?.map_err(|_| Ended)
    }

    /// The client's place is past what was read so far: waits for it. If it does not come, the place belongs to a stream
    /// that is gone, or to none.
    async fn ahead(&mut self, tail: &mut watch::Receiver<Tail>) -> Result<(), Ended> {
        self.connected(tail).await?;
        let place = self.place;
        let reached = async { tail.wait_for(|tail| tail.end >= place).await.is_ok() };
        if self.wait(timeout(AHEAD_LIMIT, reached)).await?.is_err() {
            self.send(frame::reset(ResetReason::UnknownPosition))
                .await?;
            self.place = tail.borrow().end;
        }
        Ok(())
    }

    /// Reads the stream from the client's place until the ring holds it.
    async fn catch_up(&mut self, tail: &mut watch::Receiver<Tail>) -> Result<(), Ended> {
        let hub = self.hub.clone();
        let _turn = self
            .wait(hub.catch_ups().acquire())
            .await?
            .map_err(|_| Ended)?;
        let connection = self.connected(tail).await?;
        let asked = self.place.offset;
        let opened =
            connection.read_stream(EVENTS_STREAM, StreamOffset::At(asked), CATCH_UP_PREFETCH);
        let mut reader = match self.wait(opened).await? {
            Ok(reader) => reader,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "cannot read the stream for a client"
                );
                return self.pause().await;
            }
        };
        let mut first = true;
        while matches!(self.hub.read(self.place, 1), Found::Behind) {
            let next = timeout(CATCH_UP_SILENCE, reader.next());
            let Ok(Some(Ok(message))) = self.wait(next).await? else {
                return self.pause().await;
            };
            // The message of the client's place comes first, unless the stream was truncated past it.
            if first && self.seen && message.offset > asked {
                self.send(frame::reset(ResetReason::PastRetention)).await?;
            }
            first = false;
            self.send_message(&message).await?;
        }
        Ok(())
    }

    /// Sends what the client has not seen of a message that was read from the stream.
    async fn send_message(&mut self, message: &StreamMessage) -> Result<(), Ended> {
        // The hub has counted and logged what cannot be read.
        let mut events = events_of(message.offset, &message.body).unwrap_or_default();
        let next = Position {
            offset: message.offset,
            index: events.len() as u64,
        };
        events.retain(|event| event.position >= self.place);
        self.send_events(events.iter(), next).await
    }

    async fn send_events<'a>(
        &mut self,
        events: impl Iterator<Item = &'a StreamEvent>,
        next: Position,
    ) -> Result<(), Ended> {
        let mut chunk = BytesMut::new();
        for event in events {
            if self.filter.passes(event) {
                chunk.extend_from_slice(&event.frame);
            }
            if chunk.len() >= CHUNK_BYTES {
                self.send(chunk.split().freeze()).await?;
            }
        }
        if !chunk.is_empty() {
            self.send(chunk.freeze()).await?;
        }
        self.place = next;
        self.seen = true;
        Ok(())
    }

    async fn send(&mut self, chunk: Bytes) -> Result<(), Ended> {
        let sent = timeout(SLOW_CLIENT, self.chunks.send(chunk));
        match self.hub.token().run_until_cancelled(sent).await {
            Some(Ok(Ok(()))) => {
                self.heartbeat_at = Instant::now() + HEARTBEAT;
                Ok(())
            }
            _ => Err(Ended),
        }
    }

    /// The way to the broker, as soon as there is one.
    async fn connected(
        &mut self,
        tail: &mut watch::Receiver<Tail>,
    ) -> Result<Arc<Connection>, Ended> {
        let connection = async {
            let tail = tail.wait_for(|tail| tail.connection.is_some()).await;
            tail.ok().and_then(|tail| tail.connection.clone())
        };
        self.wait(connection).await?.ok_or(Ended)
    }

    async fn pause(&mut self) -> Result<(), Ended> {
        self.wait(sleep(CATCH_UP_PAUSE)).await
    }

    /// Waits for `what`, with heartbeats, as long as the client and the process are there.
    async fn wait<F: Future>(&mut self, what: F) -> Result<F::Output, Ended> {
        let mut what = pin!(what);
        loop {
            tokio::select! {
                output = what.as_mut() => return Ok(output),
                () = self.hub.token().cancelled() => return Err(Ended),
                () = self.chunks.closed() => return Err(Ended),
                () = sleep_until(self.heartbeat_at) => {}
            }
            self.send(frame::heartbeat(self.place)).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use orderly_domain::{CommandId, OrderId, Version};
    use orderly_protocol::serde_json::{json, value::to_raw_value};
    use orderly_protocol::time::OffsetDateTime;
    use orderly_protocol::{RecordedEvent, encode_events};
    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::{
        Bytes, CHUNK_BYTES, CLIENTS, Client, EventHub, Filter, QUEUE_CHUNKS, SLOW_CLIENT, Start,
    };

    fn start(hub: &EventHub) -> mpsc::Receiver<Bytes> {
        let permit = Arc::clone(hub.clients()).try_acquire_owned().unwrap();
        Client::start(hub, Start::Now, Filter::default(), permit)
    }

    /// A message of one event that fills a chunk.
    fn large_message(version: u64) -> Vec<u8> {
        let event = RecordedEvent {
            order_id: OrderId(Uuid::nil()),
            version: Version(version),
            command_id: CommandId(Uuid::nil()),
            event_type: "annotated".to_owned(),
            data: to_raw_value(&json!({ "filler": "x".repeat(CHUNK_BYTES) })).unwrap(),
            recorded_at: OffsetDateTime::UNIX_EPOCH,
            traceparent: None,
        };
        encode_events(&[event]).remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_loses_its_stream_and_no_other_does() {
        let hub = EventHub::without_reader();
        let (mut slow, mut quick) = (start(&hub), start(&hub));
        assert!(quick.recv().await.is_some(), "the greeting");
        for version in 1..=20 {
            hub.message(version, large_message(version));
            assert!(quick.recv().await.is_some());
        }
        tokio::time::sleep(SLOW_CLIENT * 2).await;
        let mut chunks = 0;
        while slow.recv().await.is_some() {
            chunks += 1;
        }
        assert_eq!(chunks, QUEUE_CHUNKS);
        assert!(quick.recv().await.is_some(), "a heartbeat");
        assert_eq!(hub.clients().available_permits(), CLIENTS - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_is_forgotten() {
        let hub = EventHub::without_reader();
        let mut client = start(&hub);
        assert!(client.recv().await.is_some());
        drop(client);
        hub.tasks().close();
        hub.tasks().wait().await;
        assert_eq!(hub.clients().available_permits(), CLIENTS);
    }
}
