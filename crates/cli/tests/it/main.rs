//! The program from outside: real processes on a real PostgreSQL and RabbitMQ.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod command;
mod config;
mod dead;
mod dev;
mod doctor;
mod drain;
mod frozen;
mod import;
mod kill;
mod live;
mod matrix;
mod parity;
mod race;
mod role;
mod scale;
mod shutdown;
mod snapshot;
mod steer;
mod storm;
mod system;
mod temporary;
mod tls;
mod verify;
