//! How the number of shards changes.

mod broken;
mod whole;
