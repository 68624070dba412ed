//! The dashboard over HTTP, against a real RabbitMQ and Postgres.

mod keys;
mod orders;
mod sse;
mod sse_failure;
mod stock;
mod support;
