//! The HTTP ingress: accepts commands about orders, durably, and answers for what became of them.
//!
//! Accepting touches no database, decides nothing, and guesses nothing: what is not known to be stored is said to be
//! unknown.

#![allow(
    clippy::module_name_repetitions,
    reason = "items are used by their crate path, where the repetition is what makes them readable"
)]

mod accept;
mod answer;
mod commands;
mod header;
mod ingress;
mod key_cache;
mod orders;
mod path;
mod receipt_key;
mod reply;
mod reuse;
mod standing;
mod submission;
mod wait;
mod waiter;

pub use ingress::{Ingress, IngressOptions};
