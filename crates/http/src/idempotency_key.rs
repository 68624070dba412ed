//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): bare, or a string of RFC 8941.

use std::iter;

use axum::http::{HeaderMap, HeaderName};
use orderly_protocol::limits::IDEMPOTENCY_KEY_CHARS;
use orderly_protocol::{Problem, ProblemCode};

use crate::ProblemResponse;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");

const MALFORMED: &str = "Idempotency-Key must be 1 to 255 visible ASCII characters, bare or as one quoted string, and given once";

/// A key without its quotes: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of a request, if it has one.
    ///
    /// # Errors
    /// 400 when the header stands twice or is not of its form.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, ProblemResponse> {
        let mut values = headers.get_all(NAME).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let text = value.to_str().ok().filter(|_| values.next().is_none());
        match text.and_then(|text| Self::parse(text.trim())) {
            Some(key) => Ok(Some(key)),
            None => Err(Problem::new(ProblemCode::InvalidHeader, MALFORMED).into()),
        }
    }

    /// A key that stands without quotes; none if it is not of its form.
    #[must_use]
    pub fn new(key: String) -> Option<Self> {
        let fits = (1..=IDEMPOTENCY_KEY_CHARS).contains(&key.len());
        (fits && key.bytes().all(|c| c.is_ascii_graphic())).then_some(Self(key))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let key = match text.strip_prefix('"') {
            Some(rest) => unquote(rest)?,
            None => text.to_owned(),
        };
        Self::new(key)
    }
}

/// The content of a string of RFC 8941, section 3.3.3, after its first quote. Nothing may follow the last one.
fn unquote(rest: &str) -> Option<String> {
    let mut chars = rest.chars();
    let mut closed = false;
    let content = iter::from_fn(|| match chars.next()? {
        '"' => {
            closed = true;
            None
        }
        '\\' => chars.next().filter(|c| matches!(c, '"' | '\\')),
        c => Some(c),
    })
    .collect();
    (closed && chars.next().is_none()).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<String> {
        IdempotencyKey::parse(text).map(IdempotencyKey::into_string)
    }

    #[test]
    fn bare_and_quoted_are_the_same_key() {
        assert_eq!(key("order-17/pay").as_deref(), Some("order-17/pay"));
        assert_eq!(key("\"order-17/pay\"").as_deref(), Some("order-17/pay"));
        assert_eq!(key(r#""a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
    }

    #[test]
    fn the_longest_key_has_255_characters_without_its_quotes() {
        let longest = "k".repeat(255);
        assert_eq!(key(&longest).as_deref(), Some(longest.as_str()));
        assert_eq!(
            key(&format!("\"{longest}\"")).as_deref(),
            Some(longest.as_str())
        );
        assert_eq!(key(&format!("{longest}k")), None);
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for text in [
            "",
            "\"\"",
            "\"",
            "\"open",
            "\"a\"b",
            "\"a\";p=1",
            r#""a\x""#,
            r#""a\"#,
            "a b",
            "\"a b\"",
            "clé",
        ] {
            assert_eq!(key(text), None, "{text:?}");
        }
    }

    #[test]
    fn two_keys_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(NAME, "a".parse().unwrap());
        assert!(IdempotencyKey::from_headers(&headers).unwrap().is_some());
        headers.append(NAME, "a".parse().unwrap());
        assert!(IdempotencyKey::from_headers(&headers).is_err());
    }
}
