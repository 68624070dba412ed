//! What a setting may be: text to value, or what is wrong with it. No message repeats the value: it may be a secret.

use std::net::SocketAddr;

use orderly_dashboard::CookieSecurity;
use orderly_protocol::limits;
use orderly_worker::SkipUndecidable;
use url::Url;

/// The most that a share of 100 can be.
pub(crate) const PERCENT: u64 = 100;
/// The sandbox thinks for a minute at most: longer than any gateway, and a test still ends.
pub(crate) const LONGEST_DELAY_MS: u64 = 60_000;

/// A PostgreSQL URL. One without a host names a Unix socket's directory as its parameter `host`.
pub(crate) fn database_url(text: &str) -> Result<String, String> {
    let socket = |url: &Url| {
        url.query_pairs()
            .any(|(name, value)| name == "host" && !value.is_empty())
    };
    if Url::parse(text).is_ok_and(|url| url.scheme().starts_with("postgres") && socket(&url)) {
        return Ok(text.to_owned());
    }
    url(text, &["postgres", "postgresql"]).map(|_| text.to_owned())
}

/// A RabbitMQ URL.
pub(crate) fn amqp_url(text: &str) -> Result<String, String> {
    url(text, &["amqp", "amqps"]).map(|_| text.to_owned())
}

/// RabbitMQ URLs, comma-separated.
pub(crate) fn amqp_urls(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(|url| amqp_url(url.trim())).collect()
}

/// Where RabbitMQ's management API is; it may name a user of its own.
pub(crate) fn management_url(text: &str) -> Result<Url, String> {
    url(text, &["http", "https"])
}

/// Where a listener of Orderly is reached. It may have a path, if a proxy gives it one.
pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    let url = url(text, &["http", "https"])?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("ends with a query or fragment, which a base URL cannot have".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or password, which Orderly does not know".to_owned());
    }
    Ok(url)
}

/// Address and port of a listener.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "is not an address and a port, such as 127.0.0.1:8080".to_owned())
}

/// An API key, unchecked but for its form.
pub(crate) fn api_key(text: &str) -> Result<String, String> {
    match orderly_protocol::api_key::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is not an API key (ord_…), or a character of it is wrong".to_owned()),
    }
}

/// When the cookie of a session may travel over TLS only.
pub(crate) fn cookie_security(text: &str) -> Result<CookieSecurity, String> {
    match text {
        "auto" => Ok(CookieSecurity::AsForwarded),
        "always" => Ok(CookieSecurity::Always),
        _ => Err("is neither auto nor always".to_owned()),
    }
}

/// Types of commands, with commas between them. Any name may be a command of a build to come.
pub(crate) fn skip_undecidable(text: &str) -> Result<SkipUndecidable, String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    let fits = |name: &&str| {
        (1..=limits::TYPE_CHARS).contains(&name.len())
            && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
    };
    if !names.iter().all(fits) {
        return Err("is not a list of command types, such as annotate,set_address".to_owned());
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// A whole number between `least` and `most`.
pub(crate) fn whole(least: u64, most: u64) -> impl FnOnce(&str) -> Result<u64, String> {
    move |text| {
        let value = text
            .parse()
            .ok()
            .filter(|value| (least..=most).contains(value));
        value.ok_or_else(|| format!("is not a whole number from {least} to {most}"))
    }
}

fn url(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let expected = || {
        format!(
            "is not a URL that begins with {}://",
            schemes.join(":// or ")
        )
    };
    let url = Url::parse(text).map_err(|_| expected())?;
    let reaches_a_host =
        schemes.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty());
    if reaches_a_host {
        Ok(url)
    } else {
        Err(expected())
    }
}

#[cfg(test)]
mod tests {
    use super::{amqp_url, database_url, http_url, socket_address, whole};

    #[test]
    fn urls_of_another_kind_are_refused() {
        assert!(database_url("postgres://u@h:5432/orderly").is_ok());
        assert!(database_url("postgres:///orderly?host=/run/postgresql").is_ok());
        assert!(database_url("postgres:///orderly").is_err());
        assert!(database_url("mysql://h/orderly").is_err());
        assert!(amqp_url("amqp://u:p@h:5672/%2f").is_ok());
        assert!(amqp_url("h:5672").is_err());
        assert!(http_url("http://127.0.0.1:8080").is_ok());
        assert!(http_url("https://orders.example/shop").is_ok());
        assert!(http_url("https://orders.example/?shop=1").is_err());
        assert!(http_url("https://u:p@orders.example").is_err());
        assert!(http_url("orders.example:8080").is_err());
    }

    #[test]
    fn numbers_and_addresses_have_bounds() {
        assert_eq!(whole(1, 999)("999"), Ok(999));
        assert!(whole(1, 999)("1000").is_err() && whole(1, 999)("-1").is_err());
        assert!(socket_address("0.0.0.0:80").is_ok() && socket_address("localhost:80").is_err());
    }
}
