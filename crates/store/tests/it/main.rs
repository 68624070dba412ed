//! The store against a real Postgres: every test has a fresh database.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; helpers are no test functions to the lint"
)]

mod audit;
mod batch;
mod database;
mod drain;
mod errors;
mod generation;
mod key;
mod lane;
mod order_list;
mod read;
mod relay;
mod resize;
mod schema;
mod shard;
mod silence;
mod stock;
mod verify;
mod worker;
