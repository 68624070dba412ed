//! `If-Match` (RFC 9110, section 13.1.1) with the entity tag of an order: `"v7"`.

use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use orderly_domain::Version;
use orderly_http::ProblemResponse;

use super::invalid;

pub(super) fn read(headers: &HeaderMap) -> Result<Option<Version>, ProblemResponse> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    match text.and_then(|text| parse(text.trim())) {
        Some(version) => Ok(Some(version)),
        None => Err(invalid(
            "If-Match must be one strong entity tag of an order, as \"v7\"",
        )),
    }
}

/// One strong tag in the one form in which we write it. `*`, weak tags and lists ask for something else.
fn parse(text: &str) -> Option<Version> {
    let digits = text.strip_prefix("\"v")?.strip_suffix('"')?;
    let plain = digits.bytes().all(|c| c.is_ascii_digit()) && !digits.starts_with('0');
    // Versions are stored as signed 64-bit numbers.
    let version = plain.then(|| digits.parse::<i64>().ok())??;
    Some(Version(version.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_an_order_is_its_version() {
        assert_eq!(parse("\"v1\""), Some(Version(1)));
        assert_eq!(
            parse("\"v9223372036854775807\""),
            Some(Version(9_223_372_036_854_775_807))
        );
    }

    #[test]
    fn every_other_form_is_refused() {
        for text in [
            "",
            "v1",
            "\"1\"",
            "\"v\"",
            "\"v0\"",
            "\"v01\"",
            "\"v-1\"",
            "\"v+1\"",
            "W/\"v1\"",
            "*",
            "\"v1\", \"v2\"",
            "\"v9223372036854775808\"",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
