//! The stream of status events as one thing that goes on: through lost connections and restarts of the server, without a
//! gap and without a repetition.
//!
//! Owns the place in the stream and how patiently the way back to it is sought. Knows nothing of orders.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::{Backoff, Client, ClientError, EventReader, path};

/// A server that was away for so long is not being restarted: somebody must hear of it.
const PATIENCE: Duration = Duration::from_mins(10);

/// Where a feed begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FeedStart {
    /// With what happens from now on.
    Next,
    /// With the oldest event that the server still has.
    First,
    /// After the event that the stream has this id for.
    After(String),
}

/// Reads the stream.
pub(crate) struct EventFeed {
    client: Client,
    filter: Vec<(&'static str, String)>,
    start: FeedStart,
    reader: Option<EventReader>,
    /// Whether the stream was open at least once.
    opened: bool,
    place: Option<String>,
    backoff: Backoff,
}

/// What a feed gives.
#[derive(Debug)]
pub(crate) enum FromFeed {
    /// An event, and its place in the stream.
    Event { event: Value, place: String },
    /// Events between the last one and the next one are missing, for this reason.
    Gap(String),
    /// The connection broke off, for this reason; the next call seeks it again.
    Lost(ClientError),
    /// The connection is there again.
    Found,
}

impl EventFeed {
    /// Opens the stream; a server that is away now is told at once. `filter` narrows it: `order_id` and `type`, each as
    /// often as wanted.
    pub(crate) async fn open(
        client: Client,
        filter: Vec<(&'static str, String)>,
        start: FeedStart,
    ) -> Result<Self, ClientError> {
        let mut feed = Self {
            client,
            filter,
            start,
            reader: None,
            opened: false,
            place: None,
            backoff: Backoff::new(PATIENCE),
        };
        feed.connect().await?;
        Ok(feed)
    }

    /// The next thing. Safe to cancel: nothing is lost, at most a pause begins anew.
    ///
    /// # Errors
    /// The server refuses the stream, or was away for ten minutes.
    pub(crate) async fn next(&mut self) -> Result<FromFeed, ClientError> {
        loop {
            let Some(reader) = &mut self.reader else {
                return self.seek().await;
            };
            let read = reader.next().await;
            if let Some(place) = reader.last_event_id() {
                self.place = Some(place.to_owned());
                // It answers: the next loss is a new one.
                self.backoff = Backoff::new(PATIENCE);
            }
            match read {
                Ok(Some(event)) if event.name == "reset" => {
                    let detail = serde_json::from_str(&event.data)
                        .ok()
                        .and_then(|data: Value| Some(data.get("detail")?.as_str()?.to_owned()));
                    return Ok(FromFeed::Gap(detail.unwrap_or(event.data)));
                }
                Ok(Some(event)) => {
                    // An event that is no JSON is none of this version's; the stream goes on after it.
                    if let Ok(event) = serde_json::from_str(&event.data) {
                        let place = self.place.clone().unwrap_or_default();
                        return Ok(FromFeed::Event { event, place });
                    }
                }
                // A server that is being restarted ends its streams.
                Ok(None) => return Ok(self.lost(ClientError::Ended)),
                Err(error) => return Ok(self.lost(error)),
            }
        }
    }

    /// Where to go on after what was given so far, if that is known.
    pub(crate) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    fn lost(&mut self, error: ClientError) -> FromFeed {
        self.reader = None;
        FromFeed::Lost(error)
    }

    /// Seeks the connection until it is there. Pauses first: a server that takes connections and ends them at once must
    /// not be asked a thousand times a second.
    async fn seek(&mut self) -> Result<FromFeed, ClientError> {
        let mut error = ClientError::Ended;
        loop {
            let Some(pause) = self.backoff.next(None) else {
                return Err(error);
            };
            sleep(pause).await;
            error = match self.connect().await {
                Ok(()) => return Ok(FromFeed::Found),
                Err(error) if error.is_passing() => error,
                Err(error) => return Err(error),
            };
        }
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let mut query = self.filter.clone();
        let mut after = self.place.as_deref();
        if after.is_none() {
            match &self.start {
                FeedStart::After(id) => after = Some(id),
                FeedStart::First => query.push(("from", "first".to_owned())),
                // Opened before, and no place was told: the stream was empty, so whatever it has now is new.
                FeedStart::Next if self.opened => query.push(("from", "first".to_owned())),
                FeedStart::Next => {}
            }
        }
        let reader = self.client.events(&path::query(query), after).await?;
        self.reader = Some(reader);
        self.opened = true;
        Ok(())
    }
}
