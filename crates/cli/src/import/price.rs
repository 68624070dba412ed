//! Prices: decimal text to pence. Owns the one conversion; no float comes near money.

/// `"2.55"` → 255. `None` for anything but plain digits with at most one point, for parts of a penny, and for more than
/// an `i64` of pence.
pub(crate) fn pence(text: &str) -> Option<i64> {
    let (pounds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if pounds.is_empty() || !digits(pounds) || !digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let pence: i64 = match fraction.len() {
        0 => 0,
        1 => fraction.parse::<i64>().ok()? * 10,
        2 => fraction.parse().ok()?,
        _ => return None,
    };
    pounds
        .parse::<i64>()
        .ok()?
        .checked_mul(100)?
        .checked_add(pence)
}

#[cfg(test)]
mod tests {
    use super::pence;

    #[test]
    fn decimal_text_becomes_exact_pence() {
        for (text, expected) in [
            ("2.55", 255),
            ("0", 0),
            ("0.0", 0),
            ("7", 700),
            ("1.1", 110),
            ("0.29", 29),
            ("4.350", 435),
            ("607.49", 60_749),
            ("13541.33", 1_354_133),
        ] {
            assert_eq!(pence(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_pence_is_refused() {
        for text in [
            "",
            ".",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "0.001",
            "1.2.3",
            " 1",
            "92233720368547758.08",
        ] {
            assert_eq!(pence(text), None, "{text}");
        }
    }
}
