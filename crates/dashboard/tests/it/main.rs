//! The dashboard over HTTP, against a real RabbitMQ and Postgres.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; helpers are no test functions to the lint"
)]

mod assets;
mod keys;
mod order_list;
mod orders;
mod page;
mod session;
mod sse;
mod sse_failure;
mod stock;
mod support;
