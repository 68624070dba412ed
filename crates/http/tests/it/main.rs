//! The HTTP side as clients and operators meet it: over real sockets, with keys in a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod key;
mod proxy;
mod serve;
mod server;
mod session;
