//! The relay against a real RabbitMQ and Postgres.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; helpers are no test functions to the lint"
)]

mod copy;
mod failure;
mod support;
