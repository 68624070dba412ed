//! Which commands give way when they cannot be decided: those that an order can do without.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Types of commands that are discarded with their reason, instead of parking their order, when they cannot be decided. Only
/// while nothing of the order is parked: what waits in a lane is for an operator to judge.
#[derive(Clone, Debug, Default)]
pub struct SkipUndecidable(Arc<BTreeSet<String>>);

impl SkipUndecidable {
    /// Whether a command of this type gives way.
    pub(crate) fn contains(&self, action_type: &str) -> bool {
        self.0.contains(action_type)
    }
}

impl FromIterator<String> for SkipUndecidable {
    fn from_iter<T: IntoIterator<Item = String>>(types: T) -> Self {
        Self(Arc::new(types.into_iter().collect()))
    }
}
