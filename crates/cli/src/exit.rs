//! How the process ends: the exit codes that scripts rely on, and which error gives which.

use std::process::ExitCode;

use orderly_broker::BrokerError;
use orderly_store::{FaultClass, StoreError};

use crate::{client::ClientError, config::ConfigFaults};

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Ok = 0,
    /// It failed, or `verify` found a difference.
    Failed = 1,
    /// The command line or a setting is wrong; nothing was connected.
    Usage = 2,
    /// Some of it was done.
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
        for cause in error.chain() {
            if cause.is::<ConfigFaults>() {
                return Self::Usage;
            }
            if let Some(client) = cause.downcast_ref::<ClientError>() {
                return client.exit();
            }
            if let Some(store) = cause.downcast_ref::<StoreError>() {
                return of_database(store);
            }
            if cause.is::<BrokerError>() {
                return Self::Unavailable;
            }
        }
        Self::Failed
    }
}

fn of_database(error: &StoreError) -> Exit {
    match error.sqlstate() {
        // invalid_authorization_specification
        Some(state) if state.starts_with("28") => Exit::Authentication,
        None if error.class() == FaultClass::Systemic => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
