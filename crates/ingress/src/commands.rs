//! Requests about one command: to send it, and to see what became of it.

mod get;
mod post;

pub(crate) use get::get;
pub(crate) use post::post;
