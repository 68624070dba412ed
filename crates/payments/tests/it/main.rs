//! The payments role against a real RabbitMQ.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; helpers are no test functions to the lint"
)]

mod failure;
mod flow;
mod support;
