//! The models, looked at state by state.

mod as_built;
mod broken;
mod resize;
