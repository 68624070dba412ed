//! `Prefer: wait=N` (RFC 7240). Whatever else is preferred, and whatever is malformed, is passed over.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use orderly_protocol::limits::WAIT_SECONDS;

const NAME: HeaderName = HeaderName::from_static("prefer");

/// How long to wait for an outcome: 1 to 30 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    seconds: u64,
}

impl Wait {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// What `Preference-Applied` says: the wait as capped.
    pub(crate) fn applied(self) -> HeaderValue {
        HeaderValue::try_from(format!("wait={}", self.seconds)).expect("digits are a header value")
    }
}

pub(super) fn read(headers: &HeaderMap) -> Option<Wait> {
    let lines = headers
        .get_all(NAME)
        .iter()
        .filter_map(|value| value.to_str().ok());
    // The first one counts (RFC 7240, section 2).
    let wait = lines
        .flat_map(preferences)
        .find_map(|(name, value)| name.eq_ignore_ascii_case("wait").then(|| value.to_owned()))?;
    let digits = !wait.is_empty() && wait.bytes().all(|c| c.is_ascii_digit());
    // What overflows is a long wait too.
    let seconds = digits
        .then(|| wait.parse().unwrap_or(u64::MAX))?
        .min(WAIT_SECONDS);
    (seconds > 0).then_some(Wait { seconds })
}

/// Name and value of each preference of a line, parameters cut off. A quoted comma or semicolon cuts a foreign preference
/// in two, which can only matter to one that we pass over.
fn preferences(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split(',').map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        (name.trim(), value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(lines: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(NAME, line.parse().unwrap());
        }
        read(&headers).map(|wait| wait.seconds)
    }

    #[test]
    fn the_wait_is_found_among_other_preferences() {
        assert_eq!(seconds(&["wait=10"]), Some(10));
        assert_eq!(seconds(&["respond-async, WAIT = 10; foo=bar"]), Some(10));
        assert_eq!(seconds(&["return=minimal", "wait=\"10\""]), Some(10));
        assert_eq!(
            seconds(&["wait=3, wait=20"]),
            Some(3),
            "the first one counts"
        );
    }

    #[test]
    fn a_longer_wait_is_capped_at_30_s() {
        assert_eq!(seconds(&["wait=30"]), Some(30));
        assert_eq!(seconds(&["wait=31"]), Some(30));
        assert_eq!(seconds(&["wait=99999999999999999999999"]), Some(30));
    }

    #[test]
    fn what_is_no_wait_is_passed_over() {
        for line in [
            "",
            "wait",
            "wait=",
            "wait=0",
            "wait=-1",
            "wait=1.5",
            "wait=soon",
            "waits=5",
            "respond-async",
        ] {
            assert_eq!(seconds(&[line]), None, "{line:?}");
        }
        assert_eq!(seconds(&[]), None);
    }

    #[test]
    fn the_capped_wait_is_what_was_applied() {
        assert_eq!(Wait { seconds: 30 }.applied(), "wait=30");
    }
}
