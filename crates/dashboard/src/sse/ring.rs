//! The most recent events of the stream, ready to be sent. Owns what is kept and what is covered; reads no stream itself.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use orderly_domain::OrderId;

use super::position::Position;

/// Events kept: minutes of a busy system, so that a browser which reconnects costs no read of the stream.
pub(super) const RING_EVENTS: usize = 50_000;

/// Bytes kept, for events that are large.
pub(super) const RING_BYTES: usize = 64 << 20;

/// One event, written once for all clients.
#[derive(Debug)]
pub(super) struct StreamEvent {
    pub(super) position: Position,
    pub(super) order_id: OrderId,
    /// The `CloudEvents` type.
    pub(super) event_type: String,
    /// `id`, `event` and `data` lines and the empty line that ends them.
    pub(super) frame: Bytes,
}

/// What the ring has for a reader.
#[derive(Debug)]
pub(super) enum Found {
    /// Events, and where the reader stands after them.
    Events(Vec<Arc<StreamEvent>>, Position),
    /// Nothing new.
    UpToDate,
    /// The reader's place is no longer held here.
    Behind,
    /// The reader's place is past the end of what was read so far.
    Ahead,
}

/// Recent events without a gap from `floor` to `end`.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<StreamEvent>>,
    bytes: usize,
    floor: Position,
    end: Position,
    max_events: usize,
    max_bytes: usize,
}

impl Ring {
    pub(super) fn new(max_events: usize, max_bytes: usize) -> Self {
        let origin = Position::default();
        Self {
            events: VecDeque::new(),
            bytes: 0,
            floor: origin,
            end: origin,
            max_events,
            max_bytes,
        }
    }

    /// Forgets everything: the next message begins anew at `floor`.
    pub(super) fn restart(&mut self, floor: Position) {
        self.events.clear();
        self.bytes = 0;
        self.floor = floor;
        self.end = floor;
    }

    /// Takes the events of the message that follows the last one, and drops the oldest beyond the limits.
    pub(super) fn append(&mut self, offset: u64, events: Vec<StreamEvent>) {
        // Not the next offset: the end stays at a message that exists, which a reader can ask the stream for.
        self.end = Position {
            offset,
            index: events.len() as u64,
        };
        for event in events {
            self.bytes += event.frame.len();
            self.events.push_back(Arc::new(event));
        }
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.frame.len();
            self.floor = Position {
                index: oldest.position.index + 1,
                ..oldest.position
            };
        }
    }

    /// At most `limit` events from `from` on.
    pub(super) fn read(&self, from: Position, limit: usize) -> Found {
        if from > self.end {
            return Found::Ahead;
        }
        if from < self.floor {
            return Found::Behind;
        }
        let first = self.events.partition_point(|event| event.position < from);
        let events: Vec<_> = self.events.range(first..).take(limit).cloned().collect();
        match events.last() {
            Some(last) => {
                let next = Position {
                    index: last.position.index + 1,
                    ..last.position
                };
                Found::Events(events, next)
            }
            None => Found::UpToDate,
        }
    }

    /// The place before the newest `count` events, or before all that are kept if there are fewer.
    pub(super) fn recent(&self, count: usize) -> Position {
        let first = self.events.len().saturating_sub(count);
        self.events
            .get(first)
            .map_or(self.end, |event| event.position)
    }

    pub(super) fn end(&self) -> Position {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Found, OrderId, Position, Ring, StreamEvent};

    fn at(offset: u64, index: u64) -> Position {
        Position { offset, index }
    }

    fn message(offset: u64, count: u64) -> Vec<StreamEvent> {
        (0..count)
            .map(|index| StreamEvent {
                position: at(offset, index),
                order_id: OrderId(uuid::Uuid::nil()),
                event_type: "order.placed.v1".into(),
                frame: Bytes::from_static(b"0123456789"),
            })
            .collect()
    }

    fn ring() -> Ring {
        let mut ring = Ring::new(5, 1000);
        ring.restart(at(10, 0));
        ring.append(10, message(10, 2));
        // Offset 11 holds no message: streams number some records of their own.
        ring.append(12, message(12, 2));
        ring
    }

    fn positions(found: Found) -> (Vec<Position>, Position) {
        match found {
            Found::Events(events, next) => (events.iter().map(|e| e.position).collect(), next),
            other => panic!("no events: {other:?}"),
        }
    }

    #[test]
    fn a_reader_gets_what_follows_its_place() {
        let all = vec![at(10, 0), at(10, 1), at(12, 0), at(12, 1)];
        assert_eq!(
            positions(ring().read(at(10, 0), 9)),
            (all.clone(), at(12, 2))
        );
        assert_eq!(
            positions(ring().read(at(10, 1), 9)),
            (all[1..].to_vec(), at(12, 2))
        );
        assert_eq!(
            positions(ring().read(at(10, 2), 9)),
            (all[2..].to_vec(), at(12, 2))
        );
        assert_eq!(
            positions(ring().read(at(10, 0), 3)),
            (all[..3].to_vec(), at(12, 1))
        );
        assert!(matches!(ring().read(at(12, 2), 9), Found::UpToDate));
    }

    #[test]
    fn a_place_outside_is_told_from_a_place_at_the_end() {
        assert!(matches!(ring().read(at(9, 7), 9), Found::Behind));
        assert!(matches!(ring().read(at(12, 3), 9), Found::Ahead));
        assert!(matches!(ring().read(at(13, 1), 9), Found::Ahead));
    }

    #[test]
    fn the_oldest_events_go_first() {
        let mut ring = ring();
        ring.append(13, message(13, 3));
        assert!(matches!(ring.read(at(10, 1), 9), Found::Behind));
        assert_eq!(
            positions(ring.read(at(10, 2), 9)).0,
            [at(12, 0), at(12, 1), at(13, 0), at(13, 1), at(13, 2)]
        );
    }

    #[test]
    fn the_newest_events_are_found_from_their_number() {
        let ring = ring();
        assert_eq!(ring.recent(1), at(12, 1));
        assert_eq!(ring.recent(3), at(10, 1));
        assert_eq!(ring.recent(9), at(10, 0));
        assert_eq!(ring.recent(0), ring.end());
        assert_eq!(Ring::new(5, 1000).recent(3), Position::default());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut ring = Ring::new(100, 25);
        ring.append(0, message(0, 3));
        assert!(matches!(ring.read(at(0, 0), 9), Found::Behind));
        assert_eq!(positions(ring.read(at(0, 1), 9)).0, [at(0, 1), at(0, 2)]);
    }

    #[test]
    fn a_message_larger_than_the_ring_leaves_nothing_behind_it() {
        let mut ring = Ring::new(100, 5);
        ring.append(0, message(0, 1));
        assert!(matches!(ring.read(at(0, 0), 9), Found::Behind));
        assert!(matches!(ring.read(at(0, 1), 9), Found::UpToDate));
    }

    #[test]
    fn a_restart_covers_nothing_older() {
        let mut ring = ring();
        ring.restart(at(40, 0));
        assert!(matches!(ring.read(at(12, 2), 9), Found::Behind));
        assert!(matches!(ring.read(at(40, 0), 9), Found::UpToDate));
    }
}
