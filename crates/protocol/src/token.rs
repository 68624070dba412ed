//! Signed texts: `base64url(payload).base64url(HMAC-SHA256)`, the payload being JSON. Owns the form and the signature; what
//! stands in a payload, and for how long it counts, is its kind's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

/// A text that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// Not `base64url.base64url`, or another payload inside.
    Malformed,
    /// None of the keys signed it.
    Forged,
}

/// The token of `payload`, signed with `key`. Tokens of different kinds differ in `context`, so that one never passes for the
/// other, not even under the same key. A context that is not empty ends in a line feed: no payload has one.
pub(crate) fn sign<T: Serialize>(context: &str, payload: &T, key: &[u8]) -> String {
    let payload = serde_json::to_vec(payload).expect("texts are always JSON");
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let signature = mac(context, &payload, key).finalize().into_bytes();
    format!("{payload}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The payload of `token`, if one of `keys` signed it in this `context`. Signatures are compared in constant time.
pub(crate) fn verify<T: DeserializeOwned>(
    context: &str,
    token: &str,
    keys: &[&[u8]],
) -> Result<T, TokenError> {
    let (payload, signature) = token.split_once('.').ok_or(TokenError::Malformed)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Malformed)?;
    // The payload is not looked at before its signature holds.
    let signed = |key: &&[u8]| mac(context, payload, key).verify_slice(&signature).is_ok();
    if !keys.iter().any(signed) {
        return Err(TokenError::Forged);
    }
    let payload = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)
}

fn mac(context: &str, payload: &str, key: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(context.as_bytes());
    mac.update(payload.as_bytes());
    mac
}
