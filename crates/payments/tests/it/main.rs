//! The payments role against a real RabbitMQ.

mod failure;
mod flow;
mod support;
