//! The reply to a waiting ingress: a hint that a command was decided. Sent without confirmation; a lost one costs only
//! the wait.

use orderly_domain::{CommandId, OrderId, Version};
use serde::{Deserialize, Serialize};

use crate::outcome::{CommandOutcome, Outcome};
use crate::{Fingerprint, serde_id};

/// What became of a command, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Which command.
    #[serde(with = "serde_id")]
    pub command_id: CommandId,
    /// Of the request that owns the outcome: another one under the same id is a reused key.
    pub fingerprint: Fingerprint,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its order.
    #[serde(with = "serde_id")]
    pub order_id: OrderId,
    /// The version it made, or was decided against.
    #[serde(with = "serde_id::version")]
    pub version: Version,
}

impl Reply {
    /// The reply as JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are always JSON")
    }

    /// Reads a reply. Fields that this version does not know are passed over: nothing is decided by a reply.
    ///
    /// # Errors
    /// If it is not a reply.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

impl From<&CommandOutcome> for Reply {
    fn from(outcome: &CommandOutcome) -> Self {
        Self {
            command_id: outcome.command_id,
            fingerprint: outcome.fingerprint,
            outcome: outcome.outcome,
            code: outcome
                .rejection
                .as_ref()
                .map(|rejection| rejection.code.clone()),
            order_id: outcome.order_id,
            version: outcome.version,
        }
    }
}
