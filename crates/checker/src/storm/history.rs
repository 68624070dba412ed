//! What a storm saw: every request, every answer, every event, and what the API showed in the end. Concludes nothing.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use orderly_protocol::CloudEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::fault::Fault;

mod action;
mod journal;
mod line;
mod read;

pub(super) use action::{Action, Kind, Line, Part};
pub use journal::Journal;
pub(super) use line::{Asked, Head, Line as JournalLine, Only};
pub(super) use read::read;

/// Microseconds since the storm began, on a clock that never goes back.
pub(super) type Micros = u64;

/// The clock of one storm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Micros {
        u64::try_from(self.0.elapsed().as_micros()).expect("a storm is shorter than an age")
    }
}

/// Everything that one storm saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct History {
    pub(super) commands: Vec<Sent>,
    /// One for each subscriber.
    pub(super) streams: Vec<Stream>,
    /// Every order that a client tried to place, as the API showed it in the end.
    pub(super) orders: BTreeMap<Uuid, Account>,
    pub(super) shelves: Vec<Shelf>,
    pub(super) faults: Vec<FaultDone>,
    pub(super) recoveries: Vec<Recovery>,
    pub(super) resizes: Vec<Resized>,
}

/// One thing that a client wanted, and every attempt at it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    /// Its idempotency key. Two share one only where a client reuses a key on purpose.
    pub(super) key: String,
    /// A text that nothing else of the storm has and that its event repeats, unless it carries no text.
    pub(super) mark: String,
    pub(super) order: Uuid,
    pub(super) action: Action,
    pub(super) expected_version: Option<u64>,
    /// If it was sent as a line of a batch.
    pub(super) batch: Option<BatchLine>,
    pub(super) attempts: Vec<Attempt>,
    /// Whether its client never asks again, and so never knows.
    pub(super) given_up: bool,
    /// What became of it, asked for after the storm; nobody asks for what was given up.
    pub(super) outcome: Option<Outcome>,
}

/// A place in a batch, which keeps the order of its lines in every attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct BatchLine {
    pub(super) batch: Uuid,
    pub(super) line: usize,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    pub(super) began: Micros,
    /// When its answer was read, or nobody waited for one any longer.
    pub(super) ended: Micros,
    pub(super) answer: Answer,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(super) enum Answer {
    /// 202, and where to ask on.
    Accepted {
        command_id: Uuid,
        /// Half a line of receipt, which says nothing that the rest does not.
        #[serde(skip)]
        location: String,
    },
    /// 200 or 201 to a request that waited.
    Applied {
        command_id: Uuid,
        version: u64,
        #[serde(skip)]
        location: String,
    },
    /// The outcome of a request that waited.
    Rejected { code: String },
    /// Not accepted.
    Refused { status: u16, code: String },
    /// Asks for patience: it may have been accepted.
    Unavailable { status: u16, code: String },
    /// None: it may have been accepted.
    Lost { why: String },
}

/// How a command ended, by `GET /v1/commands/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Outcome {
    Applied {
        version: u64,
    },
    Rejected {
        version: u64,
        code: String,
    },
    Discarded {
        version: u64,
    },
    Parked,
    /// Not decided when nobody waited any longer.
    Queued,
    /// Its key belongs to another request.
    KeyReused,
    /// Nothing is known of it.
    Missing {
        code: String,
    },
}

/// An event, as the stream and the API show it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) order: Uuid,
    pub(super) version: u64,
    /// As `placed`.
    pub(super) name: String,
    pub(super) command_id: Uuid,
    pub(super) data: Value,
}

/// What one subscriber saw, in order, with every repetition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stream {
    pub(super) sightings: Vec<Sighting>,
    /// How often it came back with `Last-Event-ID`.
    pub(super) reconnects: u32,
    /// How often it was told that events are missing: from then on it is no witness of gaps.
    pub(super) resets: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sighting {
    pub(super) at: Micros,
    /// The event's id in the stream.
    pub(super) id: String,
    /// The same for all subscribers who saw the same.
    pub(super) event: Arc<Event>,
}

/// An order in the end: its history, and what `GET /v1/orders/{id}` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Account {
    pub(super) events: Vec<Event>,
    pub(super) shown: Option<Shown>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Shown {
    pub(super) version: u64,
    pub(super) status: String,
    pub(super) held: bool,
    pub(super) annotations: BTreeMap<String, String>,
    /// Who receives it.
    pub(super) recipient: Option<String>,
    pub(super) lines: Vec<Goods>,
    pub(super) money: Money,
}

/// A line of an order, and where its pieces are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Goods {
    pub(super) line: Line,
    pub(super) shipped: i64,
    pub(super) returned: i64,
}

/// What an order has taken and gives back, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Money {
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) pending: i64,
}

/// A product: how much was put there before the storm, and what `GET /v1/stock/{sku}` says after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shelf {
    pub(super) sku: String,
    pub(super) stocked: i64,
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
}

/// Something that was done to a process or a link, or that a process did by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FaultDone {
    pub(super) at: Micros,
    pub(super) what: String,
}

/// A fault, and how long it was felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    /// None: a look at every shard when nothing is wrong.
    pub(super) fault: Option<Fault>,
    pub(super) began: Micros,
    /// When nothing was done any more.
    pub(super) ended: Micros,
    /// When every shard had applied a command first sent after it began; none: it did not come to that.
    pub(super) recovered: Option<Micros>,
}

impl History {
    /// Takes subscribers and answers for the record, as far as they go: what was read after a storm that was killed is not
    /// all, or nothing.
    pub(super) fn keep_what_was_seen(&mut self) {
        let mut seen: BTreeMap<Uuid, BTreeMap<u64, &Event>> = BTreeMap::new();
        for sighting in self.streams.iter().flat_map(|it| &it.sightings) {
            let event = &*sighting.event;
            let of_order = seen.entry(event.order).or_default();
            of_order.entry(event.version).or_insert(event);
        }
        for (order, account) in &mut self.orders {
            let events = seen.remove(order).unwrap_or_default();
            let events = (1..)
                .zip(events)
                .take_while(|(at, (version, _))| at == version);
            *account = Account {
                events: events.map(|(_, (_, event))| event.clone()).collect(),
                shown: None,
            };
        }
        self.shelves.clear();
        for sent in &mut self.commands {
            let answers = sent.attempts.iter().map(|it| &it.answer);
            let mut told = answers.filter_map(|answer| match answer {
                Answer::Applied { version, .. } => Some(Outcome::Applied { version: *version }),
                _ => None,
            });
            sent.outcome = told.next();
        }
    }
}

/// Another number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resized {
    /// When it was accepted.
    pub(super) began: Micros,
    /// When none was under way any more; none: it did not come to that.
    pub(super) ended: Option<Micros>,
    pub(super) from: u64,
    pub(super) to: u64,
    /// Whether there were so many shards then.
    pub(super) took_effect: bool,
}

impl Sent {
    /// Whether anybody was told that it is or will be decided.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted_at().is_some()
    }

    /// When that was first known.
    pub(super) fn accepted_at(&self) -> Option<Micros> {
        let accepted = self.attempts.iter().filter(|it| it.answer.is_accepted());
        accepted.map(|it| it.ended).min()
    }

    /// Before this it cannot have happened.
    pub(super) fn began_at(&self) -> Micros {
        let began = self.attempts.iter().map(|it| it.began).min();
        began.unwrap_or(Micros::MAX)
    }

    /// Whether every attempt was answered with a no: then it must not have happened.
    pub(super) fn is_refused(&self) -> bool {
        let refused = |it: &Attempt| matches!(it.answer, Answer::Refused { .. });
        !self.attempts.is_empty() && self.attempts.iter().all(refused)
    }

    /// The ids that answers gave it. More than one is a fault.
    pub(super) fn command_ids(&self) -> Vec<Uuid> {
        let ids = self.attempts.iter().filter_map(|it| it.answer.command_id());
        let mut ids: Vec<Uuid> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl Answer {
    pub(super) fn is_accepted(&self) -> bool {
        matches!(
            self,
            Self::Accepted { .. } | Self::Applied { .. } | Self::Rejected { .. }
        )
    }

    pub(super) fn command_id(&self) -> Option<Uuid> {
        match self {
            Self::Accepted { command_id, .. } | Self::Applied { command_id, .. } => {
                Some(*command_id)
            }
            _ => None,
        }
    }

    /// Once it was asked there.
    pub(super) fn forget_location(&mut self) {
        if let Self::Accepted { location, .. } | Self::Applied { location, .. } = self {
            *location = String::new();
        }
    }

    /// Where to ask what became of the command.
    pub(super) fn location(&self) -> Option<&str> {
        match self {
            Self::Accepted { location, .. } | Self::Applied { location, .. } => Some(location),
            _ => None,
        }
    }
}

impl Outcome {
    /// Whether it cannot change any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Applied { .. } | Self::Rejected { .. } | Self::Discarded { .. }
        )
    }
}

impl Event {
    /// The mark of the command that made it.
    pub(super) fn mark(&self) -> Option<&str> {
        let pointer = Kind::of_event(&self.name)?.mark_at()?;
        self.data.pointer(pointer)?.as_str()
    }
}

impl From<&CloudEvent> for Event {
    fn from(event: &CloudEvent) -> Self {
        let name = event.event_name().unwrap_or(&event.event_type);
        Self {
            order: event.order_id.0,
            version: event.version.0,
            name: name.to_owned(),
            command_id: event.command_id.0,
            // What is not JSON fails the comparison with what the API shows.
            data: serde_json::from_str(event.data.get()).unwrap_or_default(),
        }
    }
}
