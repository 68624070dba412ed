//! Who is measured beside Orderly.

pub(crate) mod direct;
pub(crate) mod pg_limit;
pub(crate) mod publish;
