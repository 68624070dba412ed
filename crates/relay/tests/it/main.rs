//! The relay against a real RabbitMQ and Postgres.

mod copy;
mod failure;
mod support;
