//! Requests about commands: to send one or many, and to see what became of one.

mod batch;
mod get;
mod post;

pub(crate) use batch::batch;
pub(crate) use get::get;
pub(crate) use post::post;
