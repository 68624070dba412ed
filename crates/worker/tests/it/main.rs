//! The worker on a real RabbitMQ and Postgres.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apply;
mod fault;
mod hand_over;
mod park;
mod placement;
mod redelivery;
mod refuse;
mod release;
mod resize;
mod world;
