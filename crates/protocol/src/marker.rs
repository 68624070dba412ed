//! Markers: what the coordinator of a resize sends into the queues of a generation that ends.

use serde::{Deserialize, Serialize};

/// A message of its own among the commands of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Marker {
    /// Asks whether a routing key still leads anywhere: it is returned, or else means nothing to whoever gets it.
    Probe,
    /// What was on its way when the queue was unbound is ahead of what comes after this one was consumed.
    First,
    /// Nothing accepted is behind it.
    Second,
}

#[derive(Serialize, Deserialize)]
struct Body {
    marker: Marker,
}

impl Marker {
    /// The body of its message; the schema is [`crate::names::MARKERS_SCHEMA`].
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        serde_json::to_vec(&Body { marker: self }).expect("a marker serializes")
    }

    /// Reads the body of its message.
    ///
    /// # Errors
    /// It is not that.
    pub fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Body>(body).map(|body| body.marker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_as_it_was_written() {
        for (marker, body) in [
            (Marker::Probe, r#"{"marker":"probe"}"#),
            (Marker::First, r#"{"marker":"first"}"#),
            (Marker::Second, r#"{"marker":"second"}"#),
        ] {
            assert_eq!(marker.encode(), body.as_bytes());
            assert_eq!(Marker::decode(body.as_bytes()).unwrap(), marker);
        }
        assert!(Marker::decode(b"{}").is_err());
    }
}
