//! The dashboard over HTTP, against a real RabbitMQ and Postgres.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; helpers are no test functions to the lint"
)]

mod assets;
mod audit;
mod browser;
mod dead_letters;
mod keys;
mod lanes;
mod log_in;
mod look_up;
mod order_list;
mod orders;
mod page;
mod scaling;
mod session;
mod shards;
mod shop;
mod sse;
mod sse_failure;
mod stock;
mod support;
mod visit;
mod watch;
