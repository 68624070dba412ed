//! A history as lines of JSON, in the order in which things were seen: to be kept, read and judged again.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Account, Action, Answer, Attempt, BatchLine, Event, FaultDone, History, Micros, Outcome,
    Recovery, Resized, Sent, Shelf, Shown, Sighting,
};
use crate::storm::fault::Fault;

/// One line. Times are microseconds since the storm began; what was read after it has none.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(in crate::storm) enum Line<'a> {
    /// The first one.
    Storm(Head),
    Request {
        at_us: Micros,
        key: Cow<'a, str>,
        mark: Cow<'a, str>,
        order_id: Uuid,
        #[serde(rename = "type")]
        kind: Cow<'a, str>,
        data: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<BatchLine>,
        /// Whether its client never asks again if it is not answered.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gives_up: bool,
    },
    Answer {
        at_us: Micros,
        key: Cow<'a, str>,
        mark: Cow<'a, str>,
        order_id: Uuid,
        request_at_us: Micros,
        #[serde(flatten)]
        answer: Cow<'a, Answer>,
    },
    /// One is let in.
    Subscriber {
        at_us: Micros,
        subscriber: usize,
    },
    /// It comes back with `Last-Event-ID`.
    Return {
        at_us: Micros,
        subscriber: usize,
    },
    /// It is told that events are missing.
    Reset {
        at_us: Micros,
        subscriber: usize,
    },
    Event {
        at_us: Micros,
        subscriber: usize,
        stream_id: Cow<'a, str>,
        #[serde(flatten)]
        event: EventLine<'a>,
    },
    Fault {
        at_us: Micros,
        what: Cow<'a, str>,
    },
    Recovery {
        at_us: Micros,
        fault: Cow<'a, str>,
        ended_at_us: Micros,
        recovered_at_us: Option<Micros>,
    },
    Resize {
        at_us: Micros,
        from: u64,
        to: u64,
        ended_at_us: Option<Micros>,
        took_effect: bool,
    },
    Outcome {
        key: Cow<'a, str>,
        mark: Cow<'a, str>,
        order_id: Uuid,
        #[serde(flatten)]
        outcome: Cow<'a, Outcome>,
    },
    Recorded {
        #[serde(flatten)]
        event: EventLine<'a>,
    },
    Order {
        order_id: Uuid,
        #[serde(flatten)]
        shown: Cow<'a, Shown>,
    },
    Stock {
        sku: Cow<'a, str>,
        stocked: i64,
        on_hand: i64,
        reserved: i64,
    },
    /// The last one, of a storm that was not killed.
    End {
        seconds: f64,
    },
}

/// Of which storm.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(in crate::storm) struct Head {
    pub(in crate::storm) scenario: String,
    pub(in crate::storm) seed: u64,
    pub(in crate::storm) clients: usize,
    pub(in crate::storm) parked_is_allowed: bool,
}

#[derive(Debug, Deserialize, Serialize)]
pub(in crate::storm) struct EventLine<'a> {
    pub(super) order_id: Uuid,
    pub(super) version: u64,
    #[serde(rename = "event")]
    pub(super) name: Cow<'a, str>,
    pub(super) command_id: Uuid,
    pub(super) data: Cow<'a, Value>,
}

/// Which lines.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::storm) struct Only<'a> {
    /// Of one order.
    pub(in crate::storm) order: Option<Uuid>,
    /// Of one idempotency key, where no order is named.
    pub(in crate::storm) key: Option<&'a str>,
    /// Of one product.
    pub(in crate::storm) sku: Option<&'a str>,
}

impl Only<'_> {
    fn is_everything(self) -> bool {
        self.order.is_none() && self.key.is_none() && self.sku.is_none()
    }

    fn concerns(self, order: Uuid) -> bool {
        self.is_everything() || self.order == Some(order)
    }
}

impl Line<'_> {
    pub(in crate::storm) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain values are always JSON")
    }

    fn at(&self) -> Micros {
        match self {
            Self::Request { at_us, .. }
            | Self::Answer { at_us, .. }
            | Self::Subscriber { at_us, .. }
            | Self::Return { at_us, .. }
            | Self::Reset { at_us, .. }
            | Self::Event { at_us, .. }
            | Self::Fault { at_us, .. }
            | Self::Recovery { at_us, .. }
            | Self::Resize { at_us, .. } => *at_us,
            Self::Storm(_)
            | Self::Outcome { .. }
            | Self::Recorded { .. }
            | Self::Order { .. }
            | Self::Stock { .. }
            | Self::End { .. } => Micros::MAX,
        }
    }
}

impl History {
    /// The part that concerns one order, key or product.
    pub(in crate::storm) fn lines_of(&self, only: Only<'_>) -> Vec<String> {
        let mut timed = Vec::new();
        self.commands(only, &mut timed);
        for (subscriber, stream) in self.streams.iter().enumerate() {
            let seen = stream.sightings.iter();
            let seen = seen.filter(|it| only.concerns(it.event.order));
            timed.extend(seen.map(|seen| seen.line(subscriber)));
        }
        // Of a part, those that fell into its time.
        let moments = timed.iter().map(Line::at);
        let (first, last) = (moments.clone().min(), moments.max());
        let within = |at: Micros| only.is_everything() || first <= Some(at) && Some(at) <= last;
        let faults = self.faults.iter().filter(|it| within(it.at));
        let recoveries = self.recoveries.iter().filter(|it| within(it.began));
        let resizes = self.resizes.iter().filter(|it| within(it.began));
        let happened: Vec<Line<'_>> = faults
            .map(FaultDone::line)
            .chain(recoveries.map(Recovery::line))
            .chain(resizes.map(Resized::line))
            .collect();
        timed.extend(happened);
        timed.sort_by_key(Line::at);
        let mut lines: Vec<String> = timed.iter().map(Line::to_json).collect();
        self.read_after(only, |line| lines.push(line.to_json()));
        lines
    }

    fn commands<'a>(&'a self, only: Only<'_>, timed: &mut Vec<Line<'a>>) {
        for sent in self.commands.iter().filter(|it| wanted(only, it)) {
            for attempt in &sent.attempts {
                timed.push(Asked::from(sent).request(attempt.began, sent.given_up));
                timed.push(Asked::from(sent).answer(attempt));
            }
        }
    }

    /// What was read when nothing moved any more.
    pub(in crate::storm) fn read_after(&self, only: Only<'_>, mut line: impl FnMut(Line<'_>)) {
        for sent in self.commands.iter().filter(|it| wanted(only, it)) {
            if let Some(outcome) = &sent.outcome {
                line(Line::Outcome {
                    key: (&sent.key).into(),
                    mark: (&sent.mark).into(),
                    order_id: sent.order,
                    outcome: Cow::Borrowed(outcome),
                });
            }
        }
        let orders = self.orders.iter();
        for (order, account) in orders.filter(|(order, _)| only.concerns(**order)) {
            account.lines(*order, &mut line);
        }
        let wanted = |shelf: &&Shelf| only.is_everything() || only.sku == Some(&shelf.sku);
        for shelf in self.shelves.iter().filter(wanted) {
            line(Line::Stock {
                sku: (&shelf.sku).into(),
                stocked: shelf.stocked,
                on_hand: shelf.on_hand,
                reserved: shelf.reserved,
            });
        }
    }
}

fn wanted(only: Only<'_>, sent: &Sent) -> bool {
    match only {
        // With its order: what is wrong with a command is mostly its place among others.
        Only {
            order: Some(order), ..
        } => sent.order == order,
        Only { key: Some(key), .. } => sent.key == key,
        Only { sku: Some(sku), .. } => {
            let lines = sent.action.reserves().unwrap_or_default();
            lines.iter().any(|line| line.sku == sku)
        }
        _ => true,
    }
}

/// What requests and answers say of what was wanted.
#[derive(Clone, Copy)]
pub(in crate::storm) struct Asked<'a> {
    pub(in crate::storm) key: &'a str,
    pub(in crate::storm) mark: &'a str,
    pub(in crate::storm) order: Uuid,
    pub(in crate::storm) action: &'a Action,
    pub(in crate::storm) expected_version: Option<u64>,
    pub(in crate::storm) batch: Option<BatchLine>,
}

impl<'a> Asked<'a> {
    pub(in crate::storm) fn request(self, at: Micros, gives_up: bool) -> Line<'a> {
        Line::Request {
            at_us: at,
            key: self.key.into(),
            mark: self.mark.into(),
            order_id: self.order,
            kind: self.action.kind().as_str().into(),
            data: self.action.data(self.mark),
            if_match: self.expected_version,
            batch: self.batch,
            gives_up,
        }
    }

    pub(in crate::storm) fn answer(self, attempt: &'a Attempt) -> Line<'a> {
        Line::Answer {
            at_us: attempt.ended,
            key: self.key.into(),
            mark: self.mark.into(),
            order_id: self.order,
            request_at_us: attempt.began,
            answer: Cow::Borrowed(&attempt.answer),
        }
    }
}

impl<'a> From<&'a Sent> for Asked<'a> {
    fn from(sent: &'a Sent) -> Self {
        Self {
            key: &sent.key,
            mark: &sent.mark,
            order: sent.order,
            action: &sent.action,
            expected_version: sent.expected_version,
            batch: sent.batch,
        }
    }
}

impl Account {
    fn lines(&self, order_id: Uuid, line: &mut impl FnMut(Line<'_>)) {
        for event in &self.events {
            let event = event.into();
            line(Line::Recorded { event });
        }
        if let Some(shown) = &self.shown {
            let shown = Cow::Borrowed(shown);
            line(Line::Order { order_id, shown });
        }
    }
}

impl Sighting {
    pub(in crate::storm) fn line(&self, subscriber: usize) -> Line<'_> {
        Line::Event {
            at_us: self.at,
            subscriber,
            stream_id: (&self.id).into(),
            event: (&*self.event).into(),
        }
    }
}

impl FaultDone {
    pub(in crate::storm) fn line(&self) -> Line<'_> {
        Line::Fault {
            at_us: self.at,
            what: (&self.what).into(),
        }
    }
}

impl Recovery {
    pub(in crate::storm) fn line(&self) -> Line<'_> {
        Line::Recovery {
            at_us: self.began,
            fault: self.fault.map_or("none", Fault::as_str).into(),
            ended_at_us: self.ended,
            recovered_at_us: self.recovered,
        }
    }
}

impl Resized {
    pub(in crate::storm) fn line(&self) -> Line<'_> {
        Line::Resize {
            at_us: self.began,
            from: self.from,
            to: self.to,
            ended_at_us: self.ended,
            took_effect: self.took_effect,
        }
    }
}

impl<'a> From<&'a Event> for EventLine<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            order_id: event.order,
            version: event.version,
            name: (&event.name).into(),
            command_id: event.command_id,
            data: Cow::Borrowed(&event.data),
        }
    }
}

impl From<EventLine<'_>> for Event {
    fn from(line: EventLine<'_>) -> Self {
        Self {
            order: line.order_id,
            version: line.version,
            name: line.name.into_owned(),
            command_id: line.command_id,
            data: line.data.into_owned(),
        }
    }
}
