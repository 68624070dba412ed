//! A history as lines of JSON, in the order of time: to be kept, read and compared.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, Event, Fault, History, Micros, Outcome};

/// One line. Times are microseconds since the storm began; what was read after it has none.
#[derive(Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line<'a> {
    Request {
        at_us: Micros,
        key: &'a str,
        order_id: Uuid,
        body: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
    Answer {
        at_us: Micros,
        key: &'a str,
        order_id: Uuid,
        request_at_us: Micros,
        #[serde(flatten)]
        answer: &'a Answer,
    },
    Event {
        at_us: Micros,
        subscriber: usize,
        stream_id: &'a str,
        #[serde(flatten)]
        event: EventLine<'a>,
    },
    Fault {
        at_us: Micros,
        what: &'a str,
    },
    Recovery {
        at_us: Micros,
        fault: &'a str,
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
        key: &'a str,
        order_id: Uuid,
        #[serde(flatten)]
        outcome: &'a Outcome,
    },
    Recorded {
        #[serde(flatten)]
        event: EventLine<'a>,
    },
    Order {
        order_id: Uuid,
        version: u64,
        status: &'a str,
        held: bool,
    },
    Stock {
        sku: &'a str,
        stocked: i64,
        on_hand: i64,
        reserved: i64,
    },
}

#[derive(Serialize)]
struct EventLine<'a> {
    order_id: Uuid,
    version: u64,
    event: &'a str,
    command_id: Uuid,
    data: &'a Value,
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
}

impl History {
    /// All of it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines_of(Only::default())
    }

    /// The part that concerns one order, key or product.
    pub(in crate::storm) fn lines_of(&self, only: Only<'_>) -> Vec<String> {
        let mut timed = Vec::new();
        let mut read_after = Vec::new();
        self.commands(only, &mut timed, &mut read_after);
        let wanted = |order: Uuid| only.is_everything() || only.order == Some(order);
        for (subscriber, stream) in self.streams.iter().enumerate() {
            let seen = stream.sightings.iter().filter(|it| wanted(it.event.order));
            timed.extend(seen.map(|seen| Line::Event {
                at_us: seen.at,
                subscriber,
                stream_id: &seen.id,
                event: (&seen.event).into(),
            }));
        }
        for (order, account) in self.orders.iter().filter(|(order, _)| wanted(**order)) {
            let events = account.events.iter();
            read_after.extend(events.map(|event| Line::Recorded {
                event: event.into(),
            }));
            read_after.extend(account.shown.iter().map(|shown| Line::Order {
                order_id: *order,
                version: shown.version,
                status: &shown.status,
                held: shown.held,
            }));
        }
        let shelves = self.shelves.iter();
        let shelves =
            shelves.filter(|shelf| only.is_everything() || only.sku == Some(shelf.sku.as_str()));
        read_after.extend(shelves.map(|shelf| Line::Stock {
            sku: &shelf.sku,
            stocked: shelf.stocked,
            on_hand: shelf.on_hand,
            reserved: shelf.reserved,
        }));
        // Of a part, those that fell into its time.
        let within = |at: Micros| {
            let moments = timed.iter().map(Line::at);
            only.is_everything() || moments.clone().min() <= Some(at) && Some(at) <= moments.max()
        };
        let faults = self.faults.iter().filter(|it| within(it.at));
        let faults: Vec<_> = faults
            .map(|fault| Line::Fault {
                at_us: fault.at,
                what: &fault.what,
            })
            .collect();
        let recoveries = self.recoveries.iter().filter(|it| within(it.began));
        let recoveries: Vec<_> = recoveries
            .map(|it| Line::Recovery {
                at_us: it.began,
                fault: it.fault.map_or("none", Fault::as_str),
                ended_at_us: it.ended,
                recovered_at_us: it.recovered,
            })
            .collect();
        let resizes = self.resizes.iter().filter(|it| within(it.began));
        let resizes: Vec<_> = resizes
            .map(|it| Line::Resize {
                at_us: it.began,
                from: it.from,
                to: it.to,
                ended_at_us: it.ended,
                took_effect: it.took_effect,
            })
            .collect();
        timed.extend(faults);
        timed.extend(recoveries);
        timed.extend(resizes);
        timed.sort_by_key(Line::at);
        let lines = timed.iter().chain(&read_after);
        lines
            .map(|line| serde_json::to_string(line).expect("plain values are always JSON"))
            .collect()
    }

    fn commands<'a>(
        &'a self,
        only: Only<'_>,
        timed: &mut Vec<Line<'a>>,
        read_after: &mut Vec<Line<'a>>,
    ) {
        let wanted = |sent: &&super::Sent| match only {
            // With its order: what is wrong with a command is mostly its place among others.
            Only {
                order: Some(order), ..
            } => sent.order == order,
            Only { key: Some(key), .. } => sent.key == key,
            Only { sku: Some(sku), .. } => sent.action.names(sku),
            _ => true,
        };
        for sent in self.commands.iter().filter(wanted) {
            let (key, order_id) = (sent.key.as_str(), sent.order);
            for attempt in &sent.attempts {
                timed.push(Line::Request {
                    at_us: attempt.began,
                    key,
                    order_id,
                    body: sent.action.body(&sent.mark),
                    if_match: sent.expected_version,
                });
                timed.push(Line::Answer {
                    at_us: attempt.ended,
                    key,
                    order_id,
                    request_at_us: attempt.began,
                    answer: &attempt.answer,
                });
            }
            read_after.extend(sent.outcome.iter().map(|outcome| Line::Outcome {
                key,
                order_id,
                outcome,
            }));
        }
    }
}

impl super::Action {
    fn names(&self, sku: &str) -> bool {
        let lines = self.reserves().unwrap_or_default();
        lines.iter().any(|line| line.sku == sku)
    }
}

impl Line<'_> {
    fn at(&self) -> Micros {
        match self {
            Self::Request { at_us, .. }
            | Self::Answer { at_us, .. }
            | Self::Event { at_us, .. }
            | Self::Fault { at_us, .. }
            | Self::Recovery { at_us, .. }
            | Self::Resize { at_us, .. } => *at_us,
            Self::Outcome { .. }
            | Self::Recorded { .. }
            | Self::Order { .. }
            | Self::Stock { .. } => Micros::MAX,
        }
    }
}

impl<'a> From<&'a Event> for EventLine<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            order_id: event.order,
            version: event.version,
            event: &event.name,
            command_id: event.command_id,
            data: &event.data,
        }
    }
}
