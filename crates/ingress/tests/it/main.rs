//! The ingress against a real broker and a real database, seen from a client, and from the worker that takes its commands.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod accept;
mod batch;
mod broker;
mod key;
mod proxy;
mod receipt;
mod stage;
mod wait;
mod worker;
