//! Commands that a producer sent together and in order: a link that breaks takes all behind it along.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Commands of one order that were sent together. Once one of them is not stored, or perhaps not, those after it are refused:
/// otherwise a payment could be stored whose order was not. All clones are one chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain(Arc<AtomicBool>);

impl Chain {
    /// Whatever comes with this chain from now on is refused.
    pub(super) fn cut(&self) {
        // Relaxed: the commands of an order are handled by one task after another, handed over through channels.
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
