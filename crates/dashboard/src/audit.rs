//! `/v1/audit`: every operator action, as the chain has it.

pub(crate) mod list;
