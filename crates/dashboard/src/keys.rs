//! API keys: made, listed and revoked by people with scope `keys:admin`.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
