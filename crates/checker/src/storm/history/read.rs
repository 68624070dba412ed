//! A history from its file, whole or as a storm that was killed left it.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    io::BufRead,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use uuid::Uuid;

use super::{
    Account, Action, Answer, Attempt, Event, FaultDone, History, Micros, Recovery, Resized, Sent,
    Shelf, Sighting, Stream,
    line::{Head, Line},
};
use crate::storm::fault::Fault;

/// What a file says.
#[derive(Debug)]
pub(in crate::storm) struct Kept {
    pub(in crate::storm) head: Head,
    pub(in crate::storm) history: History,
    /// How long the storm took; none if it was killed.
    pub(in crate::storm) seconds: Option<f64>,
    /// Whether its last line was torn, and is left out.
    pub(in crate::storm) is_torn: bool,
}

/// Reads a file.
///
/// # Errors
/// When a line but the last cannot be read, or the first does not say which storm it was.
pub(in crate::storm) fn read(mut file: impl BufRead) -> Result<Kept> {
    let mut reader = Reader::default();
    let mut is_torn = false;
    let (mut text, mut number) = (Vec::new(), 0);
    loop {
        text.clear();
        number += 1;
        if file
            .read_until(b'\n', &mut text)
            .context("read the history")?
            == 0
        {
            break;
        }
        let is_whole = text.ends_with(b"\n");
        match serde_json::from_slice(&text) {
            Ok(line) => reader
                .line(line)
                .with_context(|| format!("line {number}"))?,
            Err(_) if !is_whole => is_torn = true,
            Err(error) => bail!("line {number} is none of a history's: {error}"),
        }
    }
    let Some(head) = reader.head.take() else {
        bail!("the first line does not say which storm it was");
    };
    reader.end();
    let mut history = reader.history;
    for sent in &history.commands {
        history.orders.entry(sent.order).or_default();
    }
    let ours: HashSet<Uuid> = history.orders.keys().copied().collect();
    for stream in &mut history.streams {
        let is_ours = |it: &Sighting| ours.contains(&it.event.order);
        stream.sightings.retain(is_ours);
    }
    Ok(Kept {
        head,
        history,
        seconds: reader.seconds,
        is_torn,
    })
}

#[derive(Default)]
struct Reader {
    head: Option<Head>,
    seconds: Option<f64>,
    history: History,
    /// Where a command is, by its mark.
    places: HashMap<String, usize>,
    /// Requests without an answer so far, by command and beginning.
    open: HashMap<(usize, Micros), usize>,
}

impl Reader {
    fn line(&mut self, line: Line<'_>) -> Result<()> {
        match line {
            Line::Storm(head) => self.head = Some(head),
            Line::Request {
                key,
                mark,
                order_id,
                kind,
                data,
                if_match,
                batch,
                gives_up,
                at_us,
            } => {
                let known = self.places.get(&*mark).copied();
                let place = known.unwrap_or(self.history.commands.len());
                *self.open.entry((place, at_us)).or_default() += 1;
                if known.is_none() {
                    let action = Action::read(&kind, &data);
                    let action = action.with_context(|| format!("no storm sends {kind} {data}"))?;
                    self.places.insert(mark.clone().into_owned(), place);
                    self.history.commands.push(Sent {
                        key: key.into_owned(),
                        mark: mark.into_owned(),
                        order: order_id,
                        action,
                        expected_version: if_match,
                        batch,
                        attempts: Vec::new(),
                        given_up: gives_up,
                        outcome: None,
                    });
                }
            }
            Line::Answer {
                at_us,
                mark,
                request_at_us,
                answer,
                ..
            } => {
                let attempt = Attempt {
                    began: request_at_us,
                    ended: at_us,
                    answer: answer.into_owned(),
                };
                let place = self.place(&mark)?;
                if let Entry::Occupied(mut open) = self.open.entry((place, attempt.began)) {
                    *open.get_mut() -= 1;
                    if *open.get() == 0 {
                        open.remove();
                    }
                }
                self.history.commands[place].attempts.push(attempt);
            }
            Line::Outcome { mark, outcome, .. } => {
                let place = self.place(&mark)?;
                self.history.commands[place].outcome = Some(outcome.into_owned());
            }
            Line::Subscriber { subscriber, .. } => drop(self.stream(subscriber)),
            Line::Return { subscriber, .. } => self.stream(subscriber).reconnects += 1,
            Line::Reset { subscriber, .. } => self.stream(subscriber).resets += 1,
            Line::Event {
                at_us,
                subscriber,
                stream_id,
                event,
            } => {
                let sighting = Sighting {
                    at: at_us,
                    id: stream_id.into_owned(),
                    event: Arc::new(event.into()),
                };
                self.stream(subscriber).sightings.push(sighting);
            }
            other => self.aside(other)?,
        }
        Ok(())
    }

    /// What is of no client and no subscriber.
    fn aside(&mut self, line: Line<'_>) -> Result<()> {
        let history = &mut self.history;
        match line {
            Line::Fault { at_us, what } => history.faults.push(FaultDone {
                at: at_us,
                what: what.into_owned(),
            }),
            Line::Recovery {
                at_us,
                fault,
                ended_at_us,
                recovered_at_us,
            } => history.recoveries.push(Recovery {
                fault: fault_named(&fault)?,
                began: at_us,
                ended: ended_at_us,
                recovered: recovered_at_us,
            }),
            Line::Resize {
                at_us,
                from,
                to,
                ended_at_us,
                took_effect,
            } => history.resizes.push(Resized {
                began: at_us,
                ended: ended_at_us,
                from,
                to,
                took_effect,
            }),
            Line::Recorded { event } => {
                let event: Event = event.into();
                self.account(event.order).events.push(event);
            }
            Line::Order { order_id, shown } => {
                self.account(order_id).shown = Some(shown.into_owned());
            }
            Line::Stock {
                sku,
                stocked,
                on_hand,
                reserved,
            } => history.shelves.push(Shelf {
                sku: sku.into_owned(),
                stocked,
                on_hand,
                reserved,
            }),
            Line::End { seconds } => self.seconds = Some(seconds),
            _ => unreachable!("all others are read before"),
        }
        Ok(())
    }

    /// What was under way when the file ends was not answered.
    fn end(&mut self) {
        for ((place, began), requests) in self.open.drain() {
            let answer = Answer::Lost {
                why: "the history ends".to_owned(),
            };
            let attempt = Attempt {
                began,
                ended: Micros::MAX,
                answer,
            };
            let attempts = std::iter::repeat_n(attempt, requests);
            self.history.commands[place].attempts.extend(attempts);
        }
        for sent in &mut self.history.commands {
            sent.attempts.sort_by_key(|it| it.began);
            sent.given_up &= !sent.is_accepted();
        }
    }

    fn place(&self, mark: &str) -> Result<usize> {
        let place = self.places.get(mark).copied();
        place.with_context(|| format!("nobody asked for {mark}"))
    }

    fn account(&mut self, order: Uuid) -> &mut Account {
        self.history.orders.entry(order).or_default()
    }

    fn stream(&mut self, subscriber: usize) -> &mut Stream {
        let streams = &mut self.history.streams;
        if streams.len() <= subscriber {
            streams.resize_with(subscriber + 1, Stream::default);
        }
        &mut streams[subscriber]
    }
}

fn fault_named(name: &str) -> Result<Option<Fault>> {
    if name == "none" {
        return Ok(None);
    }
    let fault = Fault::ALL.into_iter().find(|it| it.as_str() == name);
    fault
        .map(Some)
        .with_context(|| format!("no fault is called {name}"))
}

#[cfg(test)]
mod tests {
    use super::read;

    const HEAD: &str =
        r#"{"line":"storm","scenario":"mixed","seed":7,"clients":8,"parked_is_allowed":false}"#;
    const REQUEST: &str = r#"{"line":"request","at_us":5,"key":"k","mark":"m","order_id":"00000000-0000-0000-0000-000000000001","type":"release","data":{}}"#;

    #[test]
    fn a_torn_last_line_is_left_out_and_told() {
        for torn in 1..REQUEST.len() {
            let text = format!("{HEAD}\n{REQUEST}\n{}", &REQUEST[..torn]);
            let kept = read(text.as_bytes()).unwrap();
            assert!(kept.is_torn);
            assert_eq!(kept.history.commands.len(), 1);
            assert_eq!(kept.seconds, None);
        }
        let text = format!("{HEAD}\n{REQUEST}\n");
        assert!(!read(text.as_bytes()).unwrap().is_torn);
    }

    #[test]
    fn a_line_that_cannot_be_read_and_is_not_the_last_is_named() {
        let text = format!("{HEAD}\n{}\n{REQUEST}\n", &REQUEST[..40]);
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("line 2 "), "{error}");
        let error = read(REQUEST.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("which storm"), "{error}");
    }

    #[test]
    fn a_request_under_way_at_the_end_was_not_answered() {
        let kept = read(format!("{HEAD}\n{REQUEST}\n").as_bytes()).unwrap();
        let sent = &kept.history.commands[0];
        assert_eq!(sent.began_at(), 5);
        assert!(!sent.is_accepted() && !sent.is_refused());
    }
}
