//! What an order does: given events, when a command, then an event or a rejection.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the failure"
)]

mod amending;
mod cancelling;
mod checks;
mod holding;
mod noting;
mod paying;
mod placing;
mod properties;
mod refunding;
mod replaying;
mod scenario;
mod shipping;
mod stock;
mod transitions;
mod vocabulary;
mod wild;
