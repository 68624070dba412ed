//! How the process ends: the exit codes that scripts rely on, and which error gives which.

use std::process::ExitCode;

use orderly_broker::BrokerError;
use orderly_store::{FaultClass, StoreError};

use crate::{client::ClientError, config::ConfigFaults, import::RetailError, output};

/// An argument that cannot be meant, found after the command line was read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Somebody ended it; what it did until then stays.
#[derive(Debug, thiserror::Error)]
#[error("stopped before it was done")]
pub(crate) struct Stopped;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Ok = 0,
    /// It failed, or `verify` found a difference.
    Failed = 1,
    /// The command line, a setting or a file that it names is wrong.
    Usage = 2,
    /// Some of it was done: of several things not all, a command that has no outcome yet, a wait or a watch that ended before its
    /// goal. A dry run does nothing, and so nothing partly.
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
            if cause.is::<Stopped>() {
                return Self::Partly;
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

    /// Of several things, each with its own end.
    pub(crate) fn of_all(ends: &[Self]) -> Self {
        let first = ends.first().copied().unwrap_or(Self::Ok);
        if ends.iter().all(|end| *end == first) {
            first
        } else if ends
            .iter()
            .any(|end| matches!(end, Self::Ok | Self::Partly))
        {
            Self::Partly
        } else {
            Self::Failed
        }
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

    use super::{Exit, Stopped, UsageError};

    #[test]
    fn what_was_done_of_several_things_is_done_partly_unless_all_ended_alike() {
        use Exit::{Conflict, Failed, NotFound, Ok, Partly};
        for (ends, all) in [
            (&[][..], Ok),
            (&[Ok, Ok], Ok),
            (&[NotFound, NotFound], NotFound),
            (&[NotFound, Ok], Partly),
            (&[Conflict, Partly], Partly),
            (&[Conflict, NotFound], Failed),
        ] {
            assert_eq!(Exit::of_all(ends), all, "{ends:?}");
        }
    }

    #[test]
    fn the_cause_of_an_error_says_how_the_process_ends() {
        let under = |error: anyhow::Error| Exit::of(&error.context("read the orders"));
        assert_eq!(under(UsageError("no".to_owned()).into()), Exit::Usage);
        assert_eq!(under(anyhow!("no")), Exit::Failed);
        assert_eq!(under(Stopped.into()), Exit::Partly);
        let away = StoreError::TimedOut {
            after: std::time::Duration::from_secs(1),
        };
        assert_eq!(under(away.into()), Exit::Unavailable);
        let gone = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("print");
        assert_eq!(under(gone.unwrap_err()), Exit::Ok);
    }
}
