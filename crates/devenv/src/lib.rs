//! Private `PostgreSQL` and `RabbitMQ` (and `Redis`) for development and tests, from installed binaries.
//!
//! Owns: where they live, which ports they take, how they start, become ready, stop, and that nothing of them
//! outlives the process that started them. Must not: be needed in production, install anything, or know what
//! Orderly keeps in the servers.
//!
//! [`DevEnv`] is one set of servers with a data folder of its own. [`test_env`] hands an integration test a fresh
//! database and a fresh virtual host on servers shared by the whole test run.
//!
//! How nothing stays behind: every server runs in its own process group, out of reach of Ctrl-C, and writes its pid
//! to a file before it executes. A *guardian*, a small shell, waits for its standard input to end, which the kernel
//! guarantees when the owner ends, even by SIGKILL; it then ends what the pid files name. Should the guardian be
//! killed as well, the next start on the same folder does its work.

mod binaries;
mod clients;
mod env;
mod error;
mod files;
mod guardian;
mod place;
mod port;
mod postgres;
mod process;
mod rabbitmq;
mod readiness;
mod redis;
mod servers;
mod settings;
mod spec;
mod test_env;

pub use env::{DevEnv, DevEnvOptions};
pub use error::DevEnvError;
pub use port::Port;
pub use process::ServerProcess;
pub use test_env::{TEST_ENV_VARIABLE, TestEnv, test_env};
