//! Receipts: what lets a client ask for a command that is not recorded yet. `base64url(payload).base64url(HMAC-SHA256)`,
//! so that any ingress process can answer without a table. How long a receipt is good for is for the caller to say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use orderly_domain::{CommandId, OrderId, ProducerId};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::timestamp::{self, Timestamp};
use crate::{CommandLinks, CommandResource, CommandStatus, Fingerprint, serde_id};

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

/// The token of `receipt`, signed with `key`.
#[must_use]
pub fn sign(receipt: &Receipt, key: &[u8]) -> String {
    let payload = serde_json::to_vec(receipt).expect("texts are always JSON");
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let signature = URL_SAFE_NO_PAD.encode(mac(&payload, key).finalize().into_bytes());
    format!("{payload}.{signature}")
}

/// The receipt in `token`, if one of `keys` signed it: the current one and the one before. Signatures are compared in
/// constant time.
///
/// # Errors
/// If it is no receipt, or none of the keys signed it.
pub fn verify(token: &str, keys: &[&[u8]]) -> Result<Receipt, ReceiptError> {
    let (payload, signature) = token.split_once('.').ok_or(ReceiptError::Malformed)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| ReceiptError::Malformed)?;
    // The payload is not looked at before its signature holds.
    if !keys
        .iter()
        .any(|key| mac(payload, key).verify_slice(&signature).is_ok())
    {
        return Err(ReceiptError::Forged);
    }
    let payload = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| ReceiptError::Malformed)?;
    serde_json::from_slice(&payload).map_err(|_| ReceiptError::Malformed)
}

fn mac(payload: &str, key: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(payload.as_bytes());
    mac
}
