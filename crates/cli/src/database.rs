//! Opens the database for commands that speak to it directly.

use anyhow::Context;
use orderly_store::{SessionProfile, Store, StoreOptions};
use url::Url;

/// Commands work one statement at a time.
const MAX_CONNECTIONS: u32 = 2;

/// Connects, or says that the database is away.
pub(crate) async fn open(url: &str, name: &str) -> anyhow::Result<Store> {
    let options = StoreOptions {
        application_name: name.to_owned(),
        max_connections: MAX_CONNECTIONS,
        profile: SessionProfile::General,
    };
    Store::connect(url, &options)
        .await
        .with_context(|| format!("connect to the database at {}", place(url)))
}

/// Host and port alone: the rest of a URL holds names and a password.
fn place(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "a URL that cannot be read".to_owned();
    };
    let socket = url.query_pairs().find(|(name, _)| name == "host");
    match (url.host_str(), socket) {
        (_, Some((_, folder))) => folder.into_owned(),
        (Some(host), None) => format!("{host}:{}", url.port().unwrap_or(5432)),
        (None, None) => "the local socket".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn where_a_database_is_is_told_without_its_secrets() {
        assert_eq!(place("postgres://u:hunter2@db/orderly"), "db:5432");
        assert_eq!(place("postgres://u@[::1]:6000/orderly"), "[::1]:6000");
        assert_eq!(
            place("postgres:///orderly?host=/run/postgresql"),
            "/run/postgresql"
        );
    }
}
