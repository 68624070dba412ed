//! Arguments as parts of a URL (RFC 3986). Owns the escaping only.

use url::form_urlencoded;

/// `text` as one segment of a path: `LAMP/9` is `LAMP%2F9`.
pub(crate) fn segment(text: &str) -> String {
    // A form writes a space as `+`, which means itself in a path.
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// `?name=value&…`, or nothing.
pub(crate) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    match query.finish() {
        pairs if pairs.is_empty() => pairs,
        pairs => format!("?{pairs}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{query, segment};

    #[test]
    fn what_means_something_in_a_url_is_escaped() {
        assert_eq!(segment("MUG-RED"), "MUG-RED");
        assert_eq!(segment("a b+c/ü%?#"), "a%20b%2Bc%2F%C3%BC%25%3F%23");
        assert_eq!(query([]), "");
        assert_eq!(
            query([("sku", "A/B".to_owned()), ("limit", "3".to_owned())]),
            "?sku=A%2FB&limit=3"
        );
    }
}
