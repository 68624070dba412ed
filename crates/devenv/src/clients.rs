//! URLs of the private servers, and their command-line tools.

use std::path::PathBuf;
use std::process::Command;

use crate::binaries::Binaries;
use crate::error::DevEnvError;
use crate::files;
use crate::place::Place;
use crate::process::off_async;
use crate::rabbitmq;
use crate::settings::Settings;

/// Everything needed to talk to the servers of one data folder.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) binaries: Binaries,
    pub(crate) place: Place,
    pub(crate) settings: Settings,
}

impl Clients {
    /// The clients of servers that another process started on `folder`. `None` if nothing was ever started there.
    pub(crate) fn attach(folder: PathBuf) -> Result<Option<Self>, DevEnvError> {
        let Some(settings) = Settings::read(&folder)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            binaries: Binaries::find(false)?,
            place: Place {
                folder,
                postgres: None,
            },
            settings,
        }))
    }

    pub(crate) fn database_url(&self, database: &str) -> String {
        let Settings {
            postgres_port,
            password,
            ..
        } = &self.settings;
        format!("postgres://postgres:{password}@127.0.0.1:{postgres_port}/{database}")
    }

    pub(crate) fn amqp_url(&self, vhost: &str) -> String {
        let Settings {
            amqp_port,
            password,
            ..
        } = &self.settings;
        let user = rabbitmq::USER;
        // "/" is the only name in use that needs escaping.
        let vhost = vhost.replace('/', "%2f");
        format!("amqp://{user}:{password}@127.0.0.1:{amqp_port}/{vhost}")
    }

    pub(crate) fn redis_url(&self) -> Option<String> {
        let port = self.settings.redis_port?;
        Some(format!(
            "redis://:{}@127.0.0.1:{port}/0",
            self.settings.password
        ))
    }

    /// Runs SQL through `psql`; statements are separate arguments, each a transaction of its own.
    pub(crate) fn psql(&self, database: &str, statements: &[&str]) -> Result<String, DevEnvError> {
        let mut command = Command::new(self.binaries.postgres.join("psql"));
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1"])
            .arg(self.database_url(database));
        for statement in statements {
            command.args(["--command", statement]);
        }
        run_tool(command)
    }

    /// Of the broker with this place.
    pub(crate) fn rabbitmqctl(
        &self,
        broker: usize,
        arguments: &[&str],
    ) -> Result<String, DevEnvError> {
        let mut command = Command::new(self.binaries.rabbitmq.join("rabbitmqctl"));
        command
            .arg("--quiet")
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(rabbitmq::environment(self, self.settings.brokers()[broker]));
        run_tool(command)
    }

    pub(crate) async fn psql_off_async(
        &self,
        database: &str,
        statements: &[&str],
    ) -> Result<String, DevEnvError> {
        let (clients, database, statements) =
            (self.clone(), database.to_owned(), owned(statements));
        off_async(move || {
            let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
            clients.psql(&database, &statements)
        })
        .await
    }

    pub(crate) async fn rabbitmqctl_off_async(
        &self,
        broker: usize,
        arguments: &[&str],
    ) -> Result<String, DevEnvError> {
        let (clients, arguments) = (self.clone(), owned(arguments));
        off_async(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            clients.rabbitmqctl(broker, &arguments)
        })
        .await
    }
}

/// Owned copies, for work that leaves the caller's thread.
fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().copied().map(str::to_owned).collect()
}

/// Runs a tool to its end and returns what it printed.
pub(crate) fn run_tool(mut command: Command) -> Result<String, DevEnvError> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(files::io("run", &program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let printed = [output.stderr, output.stdout].concat();
    Err(DevEnvError::Tool {
        program,
        status: output.status,
        output: String::from_utf8_lossy(&printed).trim().to_owned(),
    })
}
