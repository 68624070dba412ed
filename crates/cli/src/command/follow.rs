//! A feed of events and the person who may end it: what every command that follows has in common, words on stderr included.

use serde_json::Value;

use crate::{
    client::{EventFeed, FromFeed},
    lifecycle::Signals,
};

/// Listens until somebody ends it.
pub(super) struct Listener {
    feed: EventFeed,
    signals: Signals,
}

/// What was heard.
pub(super) enum Heard {
    Event {
        event: Value,
        place: String,
    },
    /// Events may be missing before the next one.
    Gap,
    /// Ctrl-C, or a platform that ends the process.
    Signal,
}

impl Listener {
    pub(super) fn new(feed: EventFeed) -> anyhow::Result<Self> {
        let signals = Signals::new()?;
        Ok(Self { feed, signals })
    }

    /// The next thing; lost connections are told and found again.
    pub(super) async fn next(&mut self) -> anyhow::Result<Heard> {
        loop {
            let heard = tokio::select! {
                heard = self.feed.next() => heard?,
                () = self.signals.next() => return Ok(Heard::Signal),
            };
            match heard {
                FromFeed::Event { event, place } => return Ok(Heard::Event { event, place }),
                FromFeed::Gap(detail) => {
                    eprintln!("reset: {detail}");
                    return Ok(Heard::Gap);
                }
                FromFeed::Lost(error) => {
                    let error = anyhow::Error::from(error);
                    eprintln!("connection lost ({error:#}); reconnecting …");
                }
                FromFeed::Found => eprintln!("connected again"),
            }
        }
    }

    /// Where to go on after what was heard, if that is known.
    pub(super) fn place(&self) -> Option<&str> {
        self.feed.place()
    }
}
