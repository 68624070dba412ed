//! Tests against real servers.

mod shared;
