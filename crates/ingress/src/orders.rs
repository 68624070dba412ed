//! Requests that place an order.

mod place;
mod put;

pub(crate) use place::place;
pub(crate) use put::put;
