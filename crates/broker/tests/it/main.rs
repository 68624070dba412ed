//! The wrapper against a real broker: what it promises must hold through every way in which a connection can end.

#![allow(
    clippy::unwrap_used,
    clippy::doc_markdown,
    reason = "a test ends at its first surprise; RabbitMQ is a name"
)]

mod broker;
mod commands;
mod order;
mod proxy;
mod publish;
mod resize;
mod stream;
mod topology;
mod verify;
