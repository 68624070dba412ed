//! Lanes: words of theirs that tables, answers and the command line share.

use sha2::{Digest, Sha256};

/// The reason of a lane in which nothing failed: its order is paused.
pub const PAUSED: &str = "paused";

/// The reason of a lane that a control command is releasing, between two transactions.
pub const RELEASING: &str = "releasing";

/// Equal for lanes that failed alike: a hash of the reason's code, the type of the head, and the detail without what differs
/// from order to order (ids and numbers). 16 hex digits.
#[must_use]
pub fn failure_fingerprint(code: &str, head_type: &str, detail: &str) -> String {
    let alike = format!("{code}\0{head_type}\0{}", without_ids(detail));
    let hash: [u8; 32] = Sha256::digest(alike).into();
    let (half, _) = hash.split_at(8);
    format!(
        "{:016x}",
        u64::from_be_bytes(half.try_into().expect("8 bytes"))
    )
}

/// Words that hold a digit are ids, versions, amounts, times: each becomes `#`.
fn without_ids(detail: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut text = String::with_capacity(detail.len());
    let mut rest = detail;
    while !rest.is_empty() {
        let word = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word);
        if word.contains(|c: char| c.is_ascii_digit()) {
            text.push('#');
        } else {
            text.push_str(word);
        }
        let between = after.find(is_part).unwrap_or(after.len());
        let (between, after) = after.split_at(between);
        text.push_str(between);
        rest = after;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_differ_in_ids_alone_are_one() {
        let first = failure_fingerprint(
            "accepted_too_long_ago",
            "pay",
            "accepted at 2026-01-01T00:00:00Z for 0190a5c1-2b3c-7d4e-8f50-617283940516",
        );
        let second = failure_fingerprint(
            "accepted_too_long_ago",
            "pay",
            "accepted at 2027-12-31T23:59:59Z for 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        );
        assert_eq!(first, second);
        assert_eq!(first.len(), 16);
    }

    #[test]
    fn another_code_type_or_word_is_another_failure() {
        let of = failure_fingerprint;
        let all = [
            of("a", "pay", "x"),
            of("b", "pay", "x"),
            of("a", "ship", "x"),
            of("a", "pay", "y"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{all:?}");
        }
    }
}
