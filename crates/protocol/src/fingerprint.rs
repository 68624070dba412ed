//! The fingerprint of a request: equal for the same request however its JSON was spelled, so that a reused idempotency
//! key is told from a retry.

use std::fmt;
use std::str::FromStr;

use orderly_domain::{OrderId, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::serde_id;

/// SHA-256 of a request in canonical form. 64 lower case hex digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

#[derive(Serialize)]
struct Canonical<'a> {
    #[serde(rename = "type")]
    action_type: &'a str,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_order_id"
    )]
    order_id: Option<OrderId>,
    data: &'a Value,
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "serde_id::optional_version"
    )]
    expected_version: Option<Version>,
}

fn write_order_id<S: Serializer>(id: &Option<OrderId>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serde_id::serialize(id, serializer),
        None => serializer.serialize_none(),
    }
}

/// SHA-256 of the RFC 8785 form of `{"type", "order_id", "data", "expected_version"}`. `order_id` is given only if the
/// client named the order; what is not given is left out, not null. `data` is as the client sent it, `{}` if it sent none.
///
/// RFC 8785 writes numbers as doubles: integers beyond ±(2^53 − 1) must have been refused before.
#[must_use]
pub fn fingerprint(
    action_type: &str,
    order_id: Option<OrderId>,
    data: &Value,
    expected_version: Option<Version>,
) -> Fingerprint {
    let canonical = Canonical {
        action_type,
        order_id,
        data,
        expected_version,
    };
    let bytes = serde_json_canonicalizer::to_vec(&canonical)
        .expect("string keys and finite numbers always have a canonical form");
    Fingerprint(Sha256::digest(bytes).into())
}

impl Fingerprint {
    /// Its text. Every accepted command writes it twice.
    fn hex<'a>(&self, text: &'a mut [u8; 64]) -> &'a str {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        std::str::from_utf8(text).expect("hex digits are ASCII")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex(&mut [0; 64]))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a fingerprint: 64 lower case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint of 64 lower case hex digits")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| NotAFingerprint)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn hex_digit(digit: u8) -> Result<u8, NotAFingerprint> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotAFingerprint),
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.hex(&mut [0; 64]))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
