//! What other programs may rely on: the bytes of every document, and what is refused.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where it finds what it did not expect"
)]

mod cloudevents;
mod control;
mod envelope;
mod fingerprint;
mod golden;
mod order;
mod parse;
mod receipt;
mod sample;
mod session;
