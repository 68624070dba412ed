//! Where the broker is and what a connection calls itself. Owns what every connection must have whatever the URL says.

use std::fmt;

use lapin::uri::AMQPUri;

use crate::error::UrlError;

/// Seconds between heartbeats. The server's default of 60 would detect a dead peer after 120 s; with 5 a client errors
/// after 10 s and the broker activates the standby after 15 s (measured: 2 and 3 times the interval).
const HEARTBEAT_SECONDS: u16 = 5;

/// How to reach the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`; the vhost `/` is written `%2f`. A `heartbeat` in it is
    /// replaced.
    pub url: String,
    /// Shown as `client_properties.connection_name` in `rabbitmqctl list_connections`.
    pub name: String,
}

impl BrokerConfig {
    /// A configuration of these two.
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
        }
    }

    /// The same broker under another connection name.
    #[must_use]
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self {
            url: self.url.clone(),
            name: name.into(),
        }
    }

    /// Is the URL one that a connection can be opened with?
    ///
    /// # Errors
    /// [`UrlError`] says what is wrong with it, without quoting it: it holds a password.
    pub fn validate(&self) -> Result<(), UrlError> {
        self.uri().map(|_| ())
    }

    pub(crate) fn uri(&self) -> Result<AMQPUri, UrlError> {
        if !self.url.starts_with("amqp://") && !self.url.starts_with("amqps://") {
            return Err(UrlError::Scheme);
        }
        let mut uri: AMQPUri = self.url.parse().map_err(|_| UrlError::Malformed)?;
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        Ok(uri)
    }
}

impl fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds a password, and configurations end up in logs.
        f.debug_struct("BrokerConfig")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeat_is_five_seconds_whatever_the_url_says() {
        for query in [
            "",
            "?heartbeat=0",
            "?heartbeat=60&channel_max=9",
            "?channel_max=9",
        ] {
            let config = BrokerConfig::new(format!("amqp://u:p@h:5672/%2f{query}"), "test");
            assert_eq!(config.uri().unwrap().query.heartbeat, Some(5), "{query}");
        }
    }

    #[test]
    fn other_parts_of_the_url_are_kept() {
        let uri = BrokerConfig::new("amqps://u:p%40@h:5671/v%2f1?channel_max=9", "t")
            .uri()
            .unwrap();
        assert_eq!(uri.authority.userinfo.password, "p@");
        assert_eq!(uri.vhost, "v/1");
        assert_eq!(uri.query.channel_max, Some(9));
    }

    #[test]
    fn a_bad_url_is_named_without_quoting_it() {
        let error = BrokerConfig::new("http://u:secret@h", "t")
            .validate()
            .unwrap_err();
        assert_eq!(error, UrlError::Scheme);
        let error = BrokerConfig::new("amqp://u:secret@h:notaport/", "t")
            .validate()
            .unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn debug_hides_the_password() {
        let config = BrokerConfig::new("amqp://u:secret@h/", "t");
        assert!(!format!("{config:?}").contains("secret"));
    }
}
