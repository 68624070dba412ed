//! The deployment files, checked without an engine: what they name exists, and what they promise holds for every service.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod compose;
mod image;
mod order;
mod program;
mod secret;
