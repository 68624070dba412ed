//! The program from outside: real processes on a real PostgreSQL and RabbitMQ.

mod config;
mod import;
mod kill;
mod shutdown;
mod system;
