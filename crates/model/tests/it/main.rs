//! The model, looked at state by state.

mod as_built;
mod broken;
