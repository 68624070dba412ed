//! How the process ends: the exit codes that scripts rely on, and which error gives which.

use std::process::ExitCode;

use orderly_broker::BrokerError;
use orderly_store::{FaultClass, StoreError};

use crate::{client::ClientError, config::ConfigFaults, import::RetailError, output};

/// An argument that cannot be meant, found after the command line was read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Ok = 0,
    /// It failed, or `verify` found a difference.
    Failed = 1,
    /// The command line, a setting or a file that it names is wrong.
    Usage = 2,
    /// Some of it was done: an import or a command that has no outcome yet, a watch that was ended before its goal.
    Partly = 3,
    /// The key is missing, unknown or lacks a scope.
    Authentication = 4,
    /// What was named does not exist.
    NotFound = 5,
    /// Refused as things are: a rejection, a stale version, a reused key.
    Conflict = 6,
    /// A server is away or asks for patience.
    Unavailable = 7,
}

impl Exit {
    /// The code that `error` ends the process with.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if output::is_broken_pipe(error) {
            return Self::Ok;
        }
        for cause in error.chain() {
            if cause.is::<ConfigFaults>() || cause.is::<UsageError>() || cause.is::<RetailError>() {
                return Self::Usage;
            }
            if let Some(client) = cause.downcast_ref::<ClientError>() {
                return client.exit();
            }
            if let Some(store) = cause.downcast_ref::<StoreError>() {
                return of_database(store);
            }
            if let Some(broker) = cause.downcast_ref::<BrokerError>() {
                return of_broker(broker);
            }
        }
        Self::Failed
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn of_database(error: &StoreError) -> Exit {
    let Some(state) = error.sqlstate() else {
        return match error.class() {
            FaultClass::Systemic => Exit::Unavailable,
            FaultClass::Transient | FaultClass::Data => Exit::Failed,
        };
    };
    match state.get(..2).unwrap_or_default() {
        // invalid_authorization_specification, invalid_catalog_name
        "28" => Exit::Authentication,
        "3D" => Exit::NotFound,
        // connection_exception, insufficient_resources, operator_intervention (as of a server that starts or stops)
        "08" | "53" | "57" => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

fn of_broker(error: &BrokerError) -> Exit {
    if error.is_access_refused() {
        Exit::Authentication
    } else if error.is_not_found() {
        Exit::NotFound
    } else {
        Exit::Unavailable
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, anyhow};
    use orderly_store::StoreError;

    use super::{Exit, UsageError};

    #[test]
    fn the_cause_of_an_error_says_how_the_process_ends() {
        let under = |error: anyhow::Error| Exit::of(&error.context("read the orders"));
        assert_eq!(under(UsageError("no".to_owned()).into()), Exit::Usage);
        assert_eq!(under(anyhow!("no")), Exit::Failed);
        let away = StoreError::TimedOut {
            after: std::time::Duration::from_secs(1),
        };
        assert_eq!(under(away.into()), Exit::Unavailable);
        let gone = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("print");
        assert_eq!(under(gone.unwrap_err()), Exit::Ok);
    }
}
