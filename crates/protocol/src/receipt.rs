//! Receipts: what lets a client ask for a command that is not recorded yet. `base64url(payload).base64url(HMAC-SHA256)`,
//! so that any ingress process can answer without a table. How long a receipt is good for is for the caller to say.

use orderly_domain::{CommandId, OrderId, ProducerId};
use serde::{Deserialize, Serialize};

use crate::timestamp::{self, Timestamp};
use crate::token::{self, TokenError};
use crate::{CommandLinks, CommandResource, CommandStatus, Fingerprint, serde_id};

/// Receipts were there before any other token and are signed without one; every other kind has its own.
const CONTEXT: &str = "";

/// Proof that a command was accepted, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Which command.
    #[serde(with = "serde_id")]
    pub command_id: CommandId,
    /// Its order.
    #[serde(with = "serde_id")]
    pub order_id: OrderId,
    /// Who sent it.
    #[serde(with = "serde_id")]
    pub producer: ProducerId,
    /// Of the request: if the recorded one differs, its key belonged to another request.
    pub fingerprint: Fingerprint,
    /// When.
    #[serde(with = "timestamp")]
    pub accepted_at: Timestamp,
}

impl Receipt {
    /// The accepted command that this receipt, as `token`, speaks for.
    #[must_use]
    pub fn resource(&self, token: &str) -> CommandResource {
        CommandResource {
            command_id: self.command_id,
            order_id: self.order_id,
            action_type: None,
            status: CommandStatus::Queued,
            version: None,
            rejection: None,
            accepted_at: self.accepted_at,
            decided_at: None,
            links: CommandLinks::new(self.command_id, self.order_id, Some(token)),
        }
    }
}

/// A token that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not `base64url.base64url`, or no receipt inside.
    #[error("not a receipt")]
    Malformed,
    /// None of the keys signed it.
    #[error("the receipt's signature does not hold")]
    Forged,
}

impl From<TokenError> for ReceiptError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Malformed => Self::Malformed,
            TokenError::Forged => Self::Forged,
        }
    }
}

/// The token of `receipt`, signed with `key`.
#[must_use]
pub fn sign(receipt: &Receipt, key: &[u8]) -> String {
    token::sign(CONTEXT, receipt, key)
}

/// The receipt in `token`, if one of `keys` signed it: the current one and the one before. Signatures are compared in
/// constant time.
///
/// # Errors
/// If it is no receipt, or none of the keys signed it.
pub fn verify(token: &str, keys: &[&[u8]]) -> Result<Receipt, ReceiptError> {
    Ok(token::verify(CONTEXT, token, keys)?)
}
