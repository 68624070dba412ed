//! Places in the event stream. An event's id is `{offset}.{index}`: the offset of its message, its index within it.

use std::fmt;

/// A place in the stream: the next event that a reader wants. Every event has the place in front of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Offset of the message.
    pub(super) offset: u64,
    /// Index of the event within the message.
    pub(super) index: u64,
}

impl Position {
    /// The place right after an event, which a client names by that event's id. None if `text` is no id of an event.
    pub(super) fn after(text: &str) -> Option<Self> {
        let (offset, index) = text.split_once('.')?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(offset) || !digits(index) {
            return None;
        }
        // RabbitMQ carries offsets as signed 64-bit numbers.
        let offset = offset
            .parse()
            .ok()
            .filter(|offset| i64::try_from(*offset).is_ok())?;
        let index = index.parse::<u64>().ok()?.checked_add(1)?;
        Some(Self { offset, index })
    }

    /// The id of the event right before this place, if it is in the same message.
    pub(super) fn last_event_id(self) -> Option<EventId> {
        let index = self.index.checked_sub(1)?;
        Some(EventId(Self {
            offset: self.offset,
            index,
        }))
    }
}

/// The id of the event at a place.
pub(super) struct EventId(pub(super) Position);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.offset, self.0.index)
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn an_id_names_the_place_after_its_event() {
        let position = Position::after("41.2").unwrap();
        assert_eq!(
            position,
            Position {
                offset: 41,
                index: 3
            }
        );
        assert_eq!(position.last_event_id().unwrap().to_string(), "41.2");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "1.2.3",
            "-1.0",
            "+1.0",
            "1.+0",
            " 1.0",
            "1.0 ",
            "a.b",
            "9223372036854775808.0",
            "99999999999999999999.0",
            "0.18446744073709551615",
        ] {
            assert_eq!(Position::after(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_start_of_a_message_has_no_event_before_it() {
        assert!(
            Position {
                offset: 3,
                index: 0
            }
            .last_event_id()
            .is_none()
        );
    }
}
