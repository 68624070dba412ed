//! A reader of `GET /v1/events` (server-sent events; WHATWG HTML, section 9.2) that writes down what it sees. One that is
//! told to hang up does so at random and comes back with `Last-Event-ID`.

use std::{
    collections::{HashMap, hash_map::Entry},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use orderly_protocol::CloudEvent;
use reqwest::Url;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::history::{Event, Journal, JournalLine, Micros, Sighting, Stopwatch, Stream};
use crate::dice::Dice;

/// A listener on this side of the world answers a SYN in milliseconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Heartbeats come every 15 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(40);
/// Before it comes back: shorter than the pause that browsers are asked for, so that a storm has many returns.
const RETURN_PAUSE: Duration = Duration::from_millis(100);
/// How long it stays before it hangs up, if it does.
const STAYS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// One subscriber and what it has seen so far.
pub(super) struct Subscriber {
    http: reqwest::Client,
    url: Url,
    api_key: String,
    watched: Watched,
}

#[derive(Default)]
struct Seen {
    stream: Stream,
    last_id: Option<String>,
    /// The newest version of each order, so that the end of a storm can be waited for.
    newest: HashMap<Uuid, u64>,
    is_closed: bool,
}

/// What all subscribers saw, each event once: they see the same, if all is well.
#[derive(Clone, Default)]
pub(super) struct Events(Arc<Mutex<ByVersion>>);

/// By order and version.
type ByVersion = HashMap<(Uuid, u64), Arc<Event>>;

impl Events {
    fn shared(&self, event: Event) -> Arc<Event> {
        let mut events = self.0.lock().expect("nothing under it can panic");
        match events.entry((event.order, event.version)) {
            Entry::Occupied(seen) if **seen.get() == event => Arc::clone(seen.get()),
            // Seen by somebody as something else.
            Entry::Occupied(_) => Arc::new(event),
            Entry::Vacant(first) => Arc::clone(first.insert(Arc::new(event))),
        }
    }
}

/// What others may know of it.
#[derive(Clone)]
pub(super) struct Watched {
    subscriber: usize,
    seen: Arc<Mutex<Seen>>,
    events: Events,
    clock: Stopwatch,
    journal: Journal,
}

impl Watched {
    pub(super) fn new(
        subscriber: usize,
        events: &Events,
        clock: Stopwatch,
        journal: &Journal,
    ) -> Self {
        Self {
            subscriber,
            seen: Arc::default(),
            events: events.clone(),
            clock,
            journal: journal.clone(),
        }
    }

    /// The newest version of an order that it has seen; 0 before the first.
    pub(super) fn newest(&self, order: Uuid) -> u64 {
        let newest = lock(&self.seen).newest.get(&order).copied();
        newest.unwrap_or_default()
    }

    /// It is let in.
    pub(super) fn opened(&self) {
        let (at_us, subscriber) = (self.clock.now(), self.subscriber);
        let line = || JournalLine::Subscriber { at_us, subscriber };
        self.journal.write(line);
    }

    pub(super) fn see(&self, id: String, event: Event) {
        let event = self.events.shared(event);
        self.keep(|stream, newest, at| {
            let of_order = newest.entry(event.order).or_default();
            *of_order = event.version.max(*of_order);
            let sighting = Sighting { at, id, event };
            self.journal.write(|| sighting.line(self.subscriber));
            stream.sightings.push(sighting);
        });
    }

    fn returned(&self) {
        self.keep(|stream, _, at_us| {
            let subscriber = self.subscriber;
            let line = || JournalLine::Return { at_us, subscriber };
            self.journal.write(line);
            stream.reconnects += 1;
        });
    }

    fn reset(&self) {
        self.keep(|stream, _, at_us| {
            let subscriber = self.subscriber;
            let line = || JournalLine::Reset { at_us, subscriber };
            self.journal.write(line);
            stream.resets += 1;
        });
    }

    /// In memory as in the file: nothing any more once it is closed.
    fn keep(&self, keep: impl FnOnce(&mut Stream, &mut HashMap<Uuid, u64>, Micros)) {
        let mut seen = lock(&self.seen);
        let Seen {
            stream,
            newest,
            is_closed: false,
            ..
        } = &mut *seen
        else {
            return;
        };
        keep(stream, newest, self.clock.now());
    }

    /// How many events it has seen.
    pub(super) fn sightings(&self) -> usize {
        lock(&self.seen).stream.sightings.len()
    }

    /// What it saw of these orders. From now on it looks away.
    pub(super) fn close(&self, is_ours: impl Fn(&Uuid) -> bool) -> Stream {
        let mut seen = lock(&self.seen);
        seen.is_closed = true;
        let mut stream = std::mem::take(&mut seen.stream);
        stream.sightings.retain(|it| is_ours(&it.event.order));
        stream
    }
}

impl Subscriber {
    pub(super) fn new(dashboard: &str, api_key: &str, watched: Watched) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(SILENCE_LIMIT)
            .user_agent(concat!("orderly-checker/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("make an HTTP client")?;
        let base: Url = dashboard.parse().context("the dashboard's URL")?;
        Ok(Self {
            http,
            url: base.join("/v1/events?from=now").context("a path")?,
            api_key: api_key.to_owned(),
            watched,
        })
    }

    /// Reads until `token` is cancelled; `open` hears when the stream has begun. With dice it hangs up now and then.
    pub(super) async fn run(
        self,
        mut dice: Option<Dice>,
        open: watch::Sender<bool>,
        token: CancellationToken,
    ) {
        while !token.is_cancelled() {
            let visiting = async {
                self.visit(dice.as_mut(), &open).await;
                tokio::time::sleep(RETURN_PAUSE).await;
            };
            token.run_until_cancelled(visiting).await;
        }
    }

    /// Reads until the stream ends or it has stayed long enough. What ends a stream is no news: it is read on from its last
    /// event.
    async fn visit(&self, dice: Option<&mut Dice>, open: &watch::Sender<bool>) {
        let mut reading = pin!(self.read(open));
        let Some(dice) = dice else {
            reading.await.ok();
            return;
        };
        let stays = dice.time(STAYS.0, STAYS.1);
        // Without a place to come back to, what happens meanwhile would be missed.
        while tokio::time::timeout(stays, &mut reading).await.is_err() {
            if lock(&self.watched.seen).last_id.is_some() {
                return;
            }
        }
    }

    async fn read(&self, open: &watch::Sender<bool>) -> Result<()> {
        let mut request = self.http.get(self.url.clone()).bearer_auth(&self.api_key);
        let last_id = lock(&self.watched.seen).last_id.clone();
        if let Some(id) = &last_id {
            request = request.header("Last-Event-ID", id);
            self.watched.returned();
        }
        let response = request.send().await?;
        if !response.status().is_success() {
            bail!("status {}", response.status());
        }
        let mut frames = Frames::default();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            for frame in frames.push(&chunk?) {
                self.frame(&frame);
            }
            open.send_replace(true);
        }
        Ok(())
    }

    fn frame(&self, frame: &Frame) {
        if let Some(id) = &frame.id {
            lock(&self.watched.seen).last_id = Some(id.clone());
        }
        if frame.event == "reset" {
            self.watched.reset();
            return;
        }
        let Ok(event) = CloudEvent::decode(frame.data.as_bytes()) else {
            // A heartbeat has no data. What is no event is missed by the judge.
            return;
        };
        let id = frame.id.clone().unwrap_or_default();
        self.watched.see(id, Event::from(&event));
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("nothing under it can panic")
}

/// One event of the text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Frame {
    id: Option<String>,
    event: String,
    data: String,
}

/// Takes the text apart, in whatever pieces it comes.
#[derive(Default)]
struct Frames {
    rest: Vec<u8>,
    frame: Frame,
}

impl Frames {
    fn push(&mut self, chunk: &[u8]) -> Vec<Frame> {
        self.rest.extend_from_slice(chunk);
        let mut whole = Vec::new();
        let mut begins = 0;
        while let Some(length) = self.rest[begins..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.rest[begins..begins + length]);
            let line = line.trim_end_matches('\r');
            begins += length + 1;
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "" if line.is_empty() => whole.push(std::mem::take(&mut self.frame)),
                "id" => self.frame.id = Some(value),
                "event" => self.frame.event = value,
                "data" => self.frame.data = value,
                _ => {}
            }
        }
        self.rest.drain(..begins);
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Frames};

    const TEXT: &[u8] = b"retry: 2000\nid: 6.1\n\nid: 7.0\nevent: order.placed.v1\ndata: {\"a\": 1}\n\n: heartbeat\n\n";

    #[test]
    fn frames_are_the_same_in_whatever_pieces_they_come() {
        let frame = |id: Option<&str>, event: &str, data: &str| Frame {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.to_owned(),
        };
        let expected = [
            frame(Some("6.1"), "", ""),
            frame(Some("7.0"), "order.placed.v1", "{\"a\": 1}"),
            frame(None, "", ""),
        ];
        for size in 1..TEXT.len() {
            let mut frames = Frames::default();
            let found: Vec<_> = TEXT.chunks(size).flat_map(|it| frames.push(it)).collect();
            assert_eq!(found, expected, "pieces of {size}");
        }
    }
}
