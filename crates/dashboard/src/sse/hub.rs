//! The one reader of the event stream in this process. It keeps the ring filled for all clients, through every loss of
//! the broker, and says how far it has read. Knows no client.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use orderly_broker::{
    Backoff, BrokerConfig, BrokerError, Connection, Resumed, StreamMessage, StreamOffset,
    StreamReader,
};
use orderly_http::Check;
use orderly_protocol::names::EVENTS_STREAM;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{CATCH_UPS, CLIENTS};
use super::frame::events_of;
use super::position::Position;
use super::ring::{Found, RING_BYTES, RING_EVENTS, Ring};

/// Messages in flight from the broker: at most 1 MiB each, so 16 MiB; the reader only copies them into the ring.
const PREFETCH: u16 = 16;

/// The last chunk of a stream comes within milliseconds. If nothing came for this long, the stream is empty.
const EMPTY_AFTER: Duration = Duration::from_secs(2);

/// How far the hub has read.
#[derive(Clone)]
pub(super) struct Tail {
    /// Whether `end` says where the stream ends; false until the hub has first seen the stream.
    pub(super) known: bool,
    /// The place after the last event read.
    pub(super) end: Position,
    /// The way to the broker, for readers of what the ring no longer holds.
    pub(super) connection: Option<Arc<Connection>>,
}

/// The hub and what its clients share. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct EventHub {
    shared: Arc<Shared>,
}

struct Shared {
    ring: Mutex<Ring>,
    tail: watch::Sender<Tail>,
    clients: Arc<Semaphore>,
    catch_ups: Semaphore,
    tasks: TaskTracker,
    token: CancellationToken,
}

impl EventHub {
    /// Starts the reader on `tasks`; it and every client's stream end when `token` is cancelled.
    #[must_use]
    pub fn start(
        broker: BrokerConfig,
        ready: Check,
        tasks: TaskTracker,
        token: CancellationToken,
    ) -> Self {
        let hub = Self::new(tasks, token);
        let reader = hub.clone();
        hub.tasks().spawn(async move {
            let run = reader.run(&broker, &ready);
            reader.token().run_until_cancelled(run).await
        });
        hub
    }

    fn new(tasks: TaskTracker, token: CancellationToken) -> Self {
        let tail = Tail {
            known: false,
            end: Position::default(),
            connection: None,
        };
        Self {
            shared: Arc::new(Shared {
                ring: Mutex::new(Ring::new(RING_EVENTS, RING_BYTES)),
                tail: watch::Sender::new(tail),
                clients: Arc::new(Semaphore::new(CLIENTS)),
                catch_ups: Semaphore::new(CATCH_UPS),
                tasks,
                token,
            }),
        }
    }

    /// A hub without a reader: it has read what `message` hands to it.
    #[cfg(test)]
    pub(super) fn without_reader() -> Self {
        let hub = Self::new(TaskTracker::new(), CancellationToken::new());
        hub.restart(0);
        hub
    }

    /// As if the stream had this message at `offset`.
    #[cfg(test)]
    pub(super) fn message(&self, offset: u64, body: Vec<u8>) {
        self.take(&StreamMessage {
            offset,
            body: body.into(),
            content_type: None,
        });
    }

    pub(super) fn tail(&self) -> watch::Receiver<Tail> {
        self.shared.tail.subscribe()
    }

    pub(super) fn read(&self, from: Position, limit: usize) -> Found {
        self.ring().read(from, limit)
    }

    /// The place before the newest `count` events that are kept.
    pub(super) fn recent(&self, count: usize) -> Position {
        self.ring().recent(count)
    }

    pub(super) fn clients(&self) -> &Arc<Semaphore> {
        &self.shared.clients
    }

    pub(super) fn catch_ups(&self) -> &Semaphore {
        &self.shared.catch_ups
    }

    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    pub(super) fn token(&self) -> &CancellationToken {
        &self.shared.token
    }

    async fn run(&self, broker: &BrokerConfig, ready: &Check) -> Infallible {
        let mut backoff = Backoff::default();
        let mut last = None;
        loop {
            let Err(error) = self.follow(broker, ready, &mut last, &mut backoff).await;
            self.shared.tail.send_modify(|tail| tail.connection = None);
            ready.not_ready("the event stream cannot be read");
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "event stream lost, reading on"
            );
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    /// Reads on from the message of offset `last` until something fails.
    async fn follow(
        &self,
        broker: &BrokerConfig,
        ready: &Check,
        last: &mut Option<u64>,
        backoff: &mut Backoff,
    ) -> Result<Infallible, HubError> {
        let connection = Arc::new(Connection::open(broker).await?);
        let mut reader = self.open(&connection, last).await?;
        self.shared
            .tail
            .send_modify(|tail| tail.connection = Some(connection));
        ready.ready();
        loop {
            let message = next(&mut reader).await?;
            if last.is_none() {
                // The stream was taken for empty; if it was only slow, what is older is not in the ring.
                self.restart(message.offset);
            }
            self.take(&message);
            *last = Some(message.offset);
            backoff.reset();
        }
    }

    /// The stream after what was seen; the first time, from its last chunk on.
    async fn open(
        &self,
        connection: &Connection,
        last: &mut Option<u64>,
    ) -> Result<StreamReader, HubError> {
        if let Some(seen) = *last {
            match connection
                .resume_stream(EVENTS_STREAM, seen, PREFETCH)
                .await?
            {
                Resumed::Continued(reader) => return Ok(reader),
                Resumed::Truncated(reader, first) => {
                    tracing::warn!(
                        seen,
                        first = first.offset,
                        "events were truncated before they were read"
                    );
                    self.restart(first.offset);
                    self.take(&first);
                    *last = Some(first.offset);
                    return Ok(reader);
                }
                Resumed::Shorter => {
                    tracing::warn!(seen, "the stream ends before the last event seen");
                    *last = None;
                }
            }
        }
        let mut reader = connection
            .read_stream(EVENTS_STREAM, StreamOffset::Last, PREFETCH)
            .await?;
        match timeout(EMPTY_AFTER, next(&mut reader)).await {
            Ok(first) => {
                let first = first?;
                self.restart(first.offset);
                self.take(&first);
                *last = Some(first.offset);
            }
            Err(_) => self.restart(0),
        }
        Ok(reader)
    }

    fn restart(&self, offset: u64) {
        let start = Position { offset, index: 0 };
        self.ring().restart(start);
        self.publish_end(start);
    }

    fn take(&self, message: &StreamMessage) {
        let events = events_of(message.offset, &message.body).unwrap_or_else(|error| {
            metrics::counter!("orderly_sse_unreadable_total").increment(1);
            tracing::error!(
                offset = message.offset,
                error = &error as &dyn std::error::Error,
                "message of the event stream cannot be read, passed over"
            );
            Vec::new()
        });
        let end = {
            let mut ring = self.ring();
            ring.append(message.offset, events);
            ring.end()
        };
        self.publish_end(end);
    }

    /// After the ring: who is woken finds there what he was woken for.
    fn publish_end(&self, end: Position) {
        self.shared.tail.send_modify(|tail| {
            tail.known = true;
            tail.end = end;
        });
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // No code that can panic runs under this lock.
        self.shared
            .ring
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the reader begins anew.
#[derive(Debug, thiserror::Error)]
enum HubError {
    #[error("read the event stream")]
    Broker(#[from] BrokerError),
    #[error("the event stream was deleted")]
    StreamDeleted,
}

async fn next(reader: &mut StreamReader) -> Result<StreamMessage, HubError> {
    Ok(reader.next().await.ok_or(HubError::StreamDeleted)??)
}
