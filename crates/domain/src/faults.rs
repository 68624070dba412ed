//! What can be wrong with a command whatever its order looks like: sizes, amounts, texts, repeated lines. The ingress
//! answers these at once, `decide` applies them again.

use crate::{Action, Fault};

impl Action {
    /// Every fault that needs no order to be seen, with pointers into the command's `data`.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        unimplemented!()
    }
}
