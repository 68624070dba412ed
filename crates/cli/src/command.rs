//! One file per operator command: its flags, what it asks of the server or database, what it prints.

pub(crate) mod audit;
mod checking;
pub(crate) mod commands;
pub(crate) mod completions;
pub(crate) mod dead;
pub(crate) mod events;
mod filter;
mod follow;
pub(crate) mod healthcheck;
mod history;
pub(crate) mod keys;
pub(crate) mod lanes;
pub(crate) mod migrate;
pub(crate) mod orders;
pub(crate) mod race;
pub(crate) mod scaling;
pub(crate) mod shards;
pub(crate) mod stock;
pub(crate) mod storm;
pub(crate) mod topology;
