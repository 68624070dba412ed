//! Conditional requests (RFC 9110, section 13).

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;

/// Whether `If-None-Match` names `etag`: by weak comparison (section 13.1.2).
pub(crate) fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use axum::http::header::IF_NONE_MATCH;

    use super::matches;

    #[test]
    fn any_listed_tag_matches_weakly() {
        let is = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, value.parse().unwrap());
            matches(&headers, "\"v7\"")
        };
        assert!(is("\"v7\"") && is("W/\"v7\"") && is("\"v6\", \"v7\"") && is("*"));
        assert!(!is("\"v6\"") && !is("v7") && !is("\"v77\""));
        assert!(!matches(&HeaderMap::new(), "\"v7\""));
    }
}
