//! A reader of `GET /v1/events` (server-sent events; WHATWG HTML, section 9.2) that writes down what it sees. One that is
//! told to hang up does so at random and comes back with `Last-Event-ID`.

use std::{
    collections::HashMap,
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

use super::history::{Event, Micros, Sighting, Stopwatch, Stream};
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
    clock: Stopwatch,
    seen: Watched,
}

#[derive(Default)]
struct Seen {
    stream: Stream,
    last_id: Option<String>,
    /// The newest version of each order, so that the end of a storm can be waited for.
    newest: HashMap<Uuid, u64>,
}

/// What others may know of it.
#[derive(Clone, Default)]
pub(super) struct Watched(Arc<Mutex<Seen>>);

impl Watched {
    /// The newest version of an order that it has seen; 0 before the first.
    pub(super) fn newest(&self, order: Uuid) -> u64 {
        let newest = lock(&self.0).newest.get(&order).copied();
        newest.unwrap_or_default()
    }

    pub(super) fn see(&self, at: Micros, id: String, event: Event) {
        let mut seen = lock(&self.0);
        let newest = seen.newest.entry(event.order).or_default();
        *newest = event.version.max(*newest);
        seen.stream.sightings.push(Sighting { at, id, event });
    }

    /// How many events it has seen.
    pub(super) fn sightings(&self) -> usize {
        lock(&self.0).stream.sightings.len()
    }

    /// What it saw of these orders.
    pub(super) fn stream(&self, is_ours: impl Fn(&Uuid) -> bool) -> Stream {
        let mut stream = lock(&self.0).stream.clone();
        stream.sightings.retain(|it| is_ours(&it.event.order));
        stream
    }
}

impl Subscriber {
    pub(super) fn new(dashboard: &str, api_key: &str, clock: Stopwatch) -> Result<Self> {
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
            clock,
            seen: Watched::default(),
        })
    }

    pub(super) fn watched(&self) -> Watched {
        self.seen.clone()
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
            if lock(&self.seen.0).last_id.is_some() {
                return;
            }
        }
    }

    async fn read(&self, open: &watch::Sender<bool>) -> Result<()> {
        let mut request = self.http.get(self.url.clone()).bearer_auth(&self.api_key);
        let last_id = lock(&self.seen.0).last_id.clone();
        if let Some(id) = &last_id {
            request = request.header("Last-Event-ID", id);
            lock(&self.seen.0).stream.reconnects += 1;
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
        let at = self.clock.now();
        if let Some(id) = &frame.id {
            lock(&self.seen.0).last_id = Some(id.clone());
        }
        if frame.event == "reset" {
            lock(&self.seen.0).stream.resets += 1;
            return;
        }
        let Ok(event) = CloudEvent::decode(frame.data.as_bytes()) else {
            // A heartbeat has no data. What is no event is missed by the judge.
            return;
        };
        let id = frame.id.clone().unwrap_or_default();
        self.seen.see(at, id, Event::from(&event));
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
