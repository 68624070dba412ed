//! One term of an active relay: from taking the lock to the first failure. Owns the order of its steps: confirm, then save.

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use orderly_broker::{
    Backoff, BrokerError, Connection, PublishUnknown, Resumed, StreamMessage, StreamOffset,
    StreamReader,
};
use orderly_crashpoint::{CrashPoint, Injected, reach};
use orderly_http::Check;
use orderly_protocol::names::EVENTS_STREAM;
use orderly_store::{RelayLock, Store, StoreError};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::RelayOptions;
use crate::copier::Copier;

/// Names the lock and the offset. One relay copies the whole stream.
const NAME: &str = "events";

/// How often a standby asks for the lock: the pause in the copies when an active relay dies, beside the time in which
/// Postgres misses it.
const LOCK_INTERVAL: Duration = Duration::from_secs(1);

/// Messages under way from the stream, of at most 1 MiB each.
const PREFETCH: u16 = 32;

/// Events of one round. More would only make the repetition after a crash longer.
const ROUND_EVENTS: usize = 1_000;

/// A round of fewer events is followed by a pause, so that what arrives meanwhile is copied together: a round costs its
/// wake-ups, whatever its size. At this rate and above, rounds are large by themselves.
const SMALL_ROUND: usize = 32;

/// From the beginning of a small round to that of the next: what it may add to the way of an event to its subscribers.
const ROUND_INTERVAL: Duration = Duration::from_millis(5);

/// What is copied again after a crash, at the most. Saving after each round was a third of the relay's cost.
const SAVE_INTERVAL: Duration = Duration::from_millis(100);

/// Why a term ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error("read or copy the event stream")]
    Broker(#[from] BrokerError),
    #[error("copy events")]
    Publish(#[from] PublishUnknown),
    #[error("keep the relay's offset and lock")]
    Store(#[from] StoreError),
    #[error("the lock of the relay is lost")]
    LockLost,
    #[error("the event stream was deleted")]
    StreamDeleted,
}

impl From<Injected> for RelayError {
    fn from(_: Injected) -> Self {
        Self::LockLost
    }
}

/// Waits for the lock, then copies until `token` is cancelled or something fails.
pub(crate) async fn run(
    options: &RelayOptions,
    ready: &Check,
    backoff: &mut Backoff,
    tasks: &TaskTracker,
    token: &CancellationToken,
) -> Result<(), RelayError> {
    let waiting = token
        .run_until_cancelled(lock(&options.store, ready, tasks))
        .await;
    let Some(lock) = waiting.transpose()? else {
        return Ok(());
    };
    let beginning = token.run_until_cancelled(begin(options)).await;
    let Some(mut term) = beginning.transpose()? else {
        return Ok(());
    };
    ready.ready();
    tracing::info!("relay is active");
    let lost = lock.lost();
    let mut unsaved = Unsaved::default();
    loop {
        // Only the wait is cut short: a round in flight is confirmed first.
        let message = tokio::select! {
            biased;
            () = token.cancelled() => break,
            () = lost.cancelled() => return Err(RelayError::LockLost),
            () = unsaved.due() => {
                unsaved.save(&options.store).await?;
                continue;
            }
            message = term.next() => message?,
        };
        let begun = Instant::now();
        let round = term.round(message).await?;
        unsaved.set(round.last);
        backoff.reset();
        if round.events < SMALL_ROUND {
            let next = begun + ROUND_INTERVAL;
            token.run_until_cancelled(sleep_until(next)).await;
        }
    }
    unsaved.save(&options.store).await?;
    term.connection.close().await;
    Ok(())
}

/// Takes the lock; while another relay has it, asks again.
async fn lock(store: &Store, ready: &Check, tasks: &TaskTracker) -> Result<RelayLock, StoreError> {
    loop {
        if let Some(lock) = store.try_relay_lock(NAME, tasks).await? {
            return Ok(lock);
        }
        ready.ready();
        tokio::time::sleep(LOCK_INTERVAL).await;
    }
}

/// What an active relay holds.
struct Term {
    copier: Copier,
    reader: StreamReader,
    /// Read while the stream was opened, and not yet copied.
    first: Option<StreamMessage>,
    connection: Connection,
}

/// What was copied at once.
struct Round {
    events: usize,
    /// The offset of its last message.
    last: u64,
}

/// The offset of the last message whose events were all confirmed, while it is not saved.
#[derive(Default)]
struct Unsaved {
    offset: Option<u64>,
    due: Option<Instant>,
}

impl Unsaved {
    fn set(&mut self, offset: u64) {
        self.offset = Some(offset);
        self.due
            .get_or_insert_with(|| Instant::now() + SAVE_INTERVAL);
    }

    /// Ends when it is time to save. Cancellation safe.
    async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => pending().await,
        }
    }

    async fn save(&mut self, store: &Store) -> Result<(), RelayError> {
        if let Some(offset) = self.offset {
            store.save_relay_offset(NAME, offset).await?;
            reach(CrashPoint::AfterOffset)?;
        }
        *self = Self::default();
        Ok(())
    }
}

impl Term {
    /// Cancellation safe.
    async fn next(&mut self) -> Result<StreamMessage, RelayError> {
        match self.first.take() {
            Some(message) => Ok(message),
            None => Ok(self
                .reader
                .next()
                .await
                .ok_or(RelayError::StreamDeleted)??),
        }
    }

    /// Copies the events of `message` and of what has arrived behind it.
    async fn round(&mut self, message: StreamMessage) -> Result<Round, RelayError> {
        self.copier.add(&message);
        let mut last = message.offset;
        while self.copier.len() < ROUND_EVENTS {
            let Some(message) = self.next().now_or_never() else {
                break;
            };
            let message = message?;
            self.copier.add(&message);
            last = message.offset;
        }
        let events = self.copier.len();
        self.copier.publish().await?;
        reach(CrashPoint::AfterCopies)?;
        Ok(Round { events, last })
    }
}

async fn begin(options: &RelayOptions) -> Result<Term, RelayError> {
    let connection = Connection::open(&options.broker).await?;
    let copier = Copier::new(connection.publisher().await?);
    let (reader, first) = open(&connection, &options.store).await?;
    Ok(Term {
        copier,
        reader,
        first,
        connection,
    })
}

/// The stream after the saved offset, and the message it begins with if that was read already.
async fn open(
    connection: &Connection,
    store: &Store,
) -> Result<(StreamReader, Option<StreamMessage>), RelayError> {
    if let Some(saved) = store.relay_offset(NAME).await? {
        match connection
            .resume_stream(EVENTS_STREAM, saved, PREFETCH)
            .await?
        {
            Resumed::Continued(reader) => return Ok((reader, None)),
            Resumed::Truncated(reader, first) => {
                tracing::warn!(
                    saved,
                    first = first.offset,
                    "events were truncated before they were copied"
                );
                return Ok((reader, Some(first)));
            }
            Resumed::Shorter => {
                tracing::warn!(
                    saved,
                    "the stream ends before the saved offset: copying it from its start"
                );
                // Else offsets that the stream now uses anew would count as copied.
                store.forget_relay_offset(NAME).await?;
            }
        }
    }
    let reader = connection
        .read_stream(EVENTS_STREAM, StreamOffset::First, PREFETCH)
        .await?;
    Ok((reader, None))
}
