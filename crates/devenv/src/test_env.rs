//! A database and a virtual host for one test, on servers that the whole run shares.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::clients::Clients;
use crate::env::{DevEnv, DevEnvOptions};
use crate::error::DevEnvError;
use crate::process::off_async;
use crate::rabbitmq;
use crate::settings::random_hex;

/// Names the data folder of servers that are already running, for [`test_env`] to use instead of its own.
/// `cargo xtask test` sets it, so that one set of servers serves every test binary.
pub const TEST_ENV_VARIABLE: &str = "ORDERLY_TEST_ENV";

/// Virtual hosts made at a time: one `rabbitmqctl` call costs half a second, each host in it 50 ms.
const VHOSTS_AT_A_TIME: usize = 8;

/// A fresh, empty database and a fresh, empty virtual host.
#[derive(Debug, Clone)]
pub struct TestEnv {
    /// The database; the user is a superuser.
    pub database_url: String,
    /// The virtual host; the user may do everything in it.
    pub amqp_url: String,
    database: String,
    vhost: String,
    clients: Clients,
}

impl TestEnv {
    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The virtual host's name.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// Runs statements on this test's database through `psql`: see [`DevEnv::psql`].
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn psql(&self, statements: &[&str]) -> Result<String, DevEnvError> {
        self.clients
            .psql_off_async(&self.database, statements)
            .await
    }

    /// Runs `rabbitmqctl` against the shared broker: see [`DevEnv::rabbitmqctl`]. Most commands want
    /// `--vhost` with [`TestEnv::vhost`].
    ///
    /// # Errors
    /// When the command fails.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String, DevEnvError> {
        self.clients.rabbitmqctl_off_async(0, arguments).await
    }

    /// The virtual host's URL for a new user, the only one of fewer rights: to configure, write and read what these regular
    /// expressions match.
    ///
    /// # Errors
    /// When the user cannot be made.
    ///
    /// # Panics
    /// When the URL names no user.
    pub async fn restricted_amqp_url(&self, rights: [&str; 3]) -> Result<String, DevEnvError> {
        let user = format!("user_{}", self.vhost);
        self.rabbitmqctl(&["add_user", &user, "secret"]).await?;
        let [configure, write, read] = rights;
        let host = &self.vhost;
        let grant = [
            "set_permissions",
            "--vhost",
            host,
            &user,
            configure,
            write,
            read,
        ];
        self.rabbitmqctl(&grant).await?;
        let (_, place) = self.amqp_url.rsplit_once('@').expect("a URL with a user");
        Ok(format!("amqp://{user}:secret@{place}"))
    }
}

/// Hands out a fresh database and a fresh virtual host. The servers are those that [`TEST_ENV_VARIABLE`] names, or
/// this process's own, started by the first caller and gone when the process is. They are shared: a test that stops or
/// kills a server starts a [`DevEnv`] of its own.
///
/// # Panics
/// When the servers cannot be started or used: a test has no other way on.
pub async fn test_env() -> TestEnv {
    let made = off_async(|| match SHARED.get_or_init(Shared::start) {
        Ok(shared) => shared.fresh().map_err(|error| chain(&error)),
        Err(error) => Err(chain(error)),
    });
    made.await
        .unwrap_or_else(|error| panic!("no servers to test with: {error}"))
}

/// The servers of this process's tests.
struct Shared {
    clients: Clients,
    /// Never dropped, being static: the guardian ends them with the process.
    _own: Option<DevEnv>,
    /// Made and not handed out yet.
    vhosts: Mutex<Vec<String>>,
}

static SHARED: OnceLock<Result<Shared, DevEnvError>> = OnceLock::new();

impl Shared {
    fn start() -> Result<Self, DevEnvError> {
        let given = std::env::var_os(TEST_ENV_VARIABLE).map(PathBuf::from);
        let given = given.map(Clients::attach).transpose()?.flatten();
        let (clients, own) = if let Some(clients) = given {
            (clients, None)
        } else {
            let own = DevEnv::start_blocking(&DevEnvOptions::temporary()?)?;
            (own.clients().clone(), Some(own))
        };
        Ok(Self {
            clients,
            _own: own,
            vhosts: Mutex::default(),
        })
    }

    fn fresh(&self) -> Result<TestEnv, DevEnvError> {
        let database = format!("test_{}", random_hex()?);
        let create = format!("create database {database}");
        self.clients.psql("postgres", &[&create])?;
        let vhost = self.fresh_vhost()?;
        Ok(TestEnv {
            database_url: self.clients.database_url(&database),
            amqp_url: self.clients.amqp_url(&vhost),
            database,
            vhost,
            clients: self.clients.clone(),
        })
    }

    fn fresh_vhost(&self) -> Result<String, DevEnvError> {
        // Held while the next ones are made: whoever waits needs one of them.
        let mut vhosts = self.vhosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vhost) = vhosts.pop() {
            return Ok(vhost);
        }
        let mut made = Vec::with_capacity(VHOSTS_AT_A_TIME);
        for _ in 0..VHOSTS_AT_A_TIME {
            made.push(format!("test_{}", random_hex()?));
        }
        let user = rabbitmq::USER;
        let names: Vec<String> = made.iter().map(|name| format!("<<\"{name}\">>")).collect();
        let all = r#"<<".*">>"#;
        // What `add_vhost` and `set_permissions` do, in one call for all.
        self.clients.rabbitmqctl(
            0,
            &[
                "eval",
                &format!(
                    r#"[begin ok = rabbit_vhost:add(Name, <<"{user}">>),
                   ok = rabbit_auth_backend_internal:set_permissions(
                       <<"{user}">>, Name, {all}, {all}, {all}, <<"{user}">>)
                   end || Name <- [{names}]]."#,
                    names = names.join(",")
                ),
            ],
        )?;
        let first = made.pop();
        *vhosts = made;
        Ok(first.expect("as many were made as are made at a time"))
    }
}

/// The error and its causes in one line.
fn chain(error: &DevEnvError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
