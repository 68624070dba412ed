//! Load and judgement from outside: what a client and an auditor of Orderly can see, and nothing else.
//!
//! Speaks HTTP and SQL with drivers of its own and shares no code with what it judges, beyond the types that cross the wire.
//! Must not: reach into a database of Orderly to judge it, or trust what a server says of itself where the data tells.

mod dice;
mod http;
pub mod race;
pub mod storm;

pub use http::Refused;
