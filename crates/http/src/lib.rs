//! What every HTTP listener of Orderly shares: serving, request ids, problems, bodies, API keys, sessions, readiness.
//!
//! Knows no route but the probes, and nothing of orders.

#![allow(
    clippy::module_name_repetitions,
    reason = "items are used by their crate path, where the repetition is what makes them readable"
)]

mod authorized;
mod body;
mod context;
mod idempotency_key;
mod keyring;
mod probe;
mod problem;
mod readiness;
mod serve;
pub mod session;

pub use authorized::{Authorized, Caller, Requirement, scope};
pub use body::{JsonBody, NdjsonBody};
pub use context::{RequestContext, RequestId, Traceparent};
pub use idempotency_key::IdempotencyKey;
pub use keyring::Keyring;
pub use probe::probe_router;
pub use problem::ProblemResponse;
pub use readiness::{Check, Readiness};
pub use serve::serve;
