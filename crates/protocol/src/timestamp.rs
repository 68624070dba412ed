//! Times on the wire: RFC 3339 in UTC, always with six digits of a second, which is what Postgres keeps. Reads no clock.

use serde::{Deserialize, Deserializer, Serializer, de};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// A point in time.
pub type Timestamp = OffsetDateTime;

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// The text is not an RFC 3339 date and time.
#[derive(Debug, thiserror::Error)]
#[error("not an RFC 3339 date and time")]
pub struct NotATimestamp(#[source] time::error::Parse);

/// `at` as text, as `2026-11-23T08:30:00.000000Z`. What is finer than a microsecond is cut off.
#[must_use]
pub fn format(at: Timestamp) -> String {
    at.to_offset(UtcOffset::UTC)
        .format(FORMAT)
        .expect("every UTC time has these components")
}

/// Reads any RFC 3339 date and time, as UTC, cut to whole microseconds.
///
/// # Errors
/// If it is none.
pub fn parse(text: &str) -> Result<Timestamp, NotATimestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(NotATimestamp)?;
    Ok(whole_microseconds(at.to_offset(UtcOffset::UTC)))
}

/// `at` without what is finer than a microsecond, so that it equals itself after a trip through the wire or Postgres.
#[must_use]
pub fn whole_microseconds(at: Timestamp) -> Timestamp {
    at.replace_microsecond(at.microsecond())
        .expect("its own microseconds are in range")
}

/// For `#[serde(with = "orderly_protocol::timestamp")]`.
///
/// # Errors
/// As the serializer does.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*at))
}

/// For `#[serde(with = "orderly_protocol::timestamp")]`.
///
/// # Errors
/// If the value is not an RFC 3339 text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

/// For optional times: `#[serde(with = "orderly_protocol::timestamp::option")]`.
pub mod option {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Timestamp;

    /// Writes the time or null.
    ///
    /// # Errors
    /// As the serializer does.
    pub fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time or null.
    ///
    /// # Errors
    /// If the value is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn microseconds_are_always_written() {
        assert_eq!(
            format(datetime!(2026-11-23 8:30 UTC)),
            "2026-11-23T08:30:00.000000Z"
        );
        assert_eq!(
            format(datetime!(2026-11-23 10:30:00.123_456_789 +2)),
            "2026-11-23T08:30:00.123456Z"
        );
    }

    #[test]
    fn any_rfc_3339_time_is_read_as_utc() {
        let at = parse("2026-11-23T10:30:00.1234567+02:00").unwrap();
        assert_eq!(at, datetime!(2026-11-23 8:30:00.123_456 UTC));
        assert_eq!(at.offset(), UtcOffset::UTC);
        assert!(parse("2026-11-23 10:30").is_err());
    }
}
