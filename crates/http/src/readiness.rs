//! Whether this process should be given traffic: a list of named checks that the roles set as they come and go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The checks of one process. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    draining: bool,
    /// Why each check is not ready; `None` if it is.
    checks: BTreeMap<&'static str, Option<String>>,
}

/// The handle by which a role sets one check.
#[derive(Clone, Debug)]
pub struct Check {
    readiness: Readiness,
    name: &'static str,
}

impl Readiness {
    /// No checks: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the check `name`, not ready until it is first set. Two handles of one name are one check.
    #[must_use]
    pub fn check(&self, name: &'static str) -> Check {
        self.with(|state| {
            state
                .checks
                .entry(name)
                .or_insert_with(|| Some("starting".to_owned()))
                .clone()
        });
        Check {
            readiness: self.clone(),
            name,
        }
    }

    /// Says "not ready" from now on, whatever the checks say. The first step of a shutdown: load balancers look
    /// elsewhere while requests are still served.
    pub fn drain(&self) {
        self.with(|state| state.draining = true);
    }

    /// Whether every check is ready and no shutdown has begun.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.not_ready().is_empty()
    }

    /// Name and reason of everything that is not ready.
    #[must_use]
    pub fn not_ready(&self) -> Vec<(&'static str, String)> {
        self.with(|state| {
            let draining = state.draining.then(|| ("shutdown", "draining".to_owned()));
            let checks = state
                .checks
                .iter()
                .filter_map(|(name, reason)| Some((*name, reason.clone()?)));
            draining.into_iter().chain(checks).collect()
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // No code that can panic runs under this lock.
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Check {
    /// Sets the check; `reason` says what is missing and is ignored when `ready`.
    pub fn set(&self, ready: bool, reason: &str) {
        let reason = (!ready).then(|| reason.to_owned());
        self.readiness
            .with(|state| state.checks.insert(self.name, reason));
    }

    /// The check is fulfilled.
    pub fn ready(&self) {
        self.set(true, "");
    }

    /// The check is not fulfilled, because of `reason`.
    pub fn not_ready(&self, reason: &str) {
        self.set(false, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_check_is_not_ready_until_it_is_set() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let broker = readiness.check("broker");
        assert_eq!(readiness.not_ready(), [("broker", "starting".to_owned())]);
        broker.ready();
        assert!(readiness.is_ready());
        broker.not_ready("connection lost");
        assert_eq!(
            readiness.not_ready(),
            [("broker", "connection lost".to_owned())]
        );
    }

    #[test]
    fn a_second_handle_does_not_reset_the_check() {
        let readiness = Readiness::new();
        readiness.check("broker").ready();
        let again = readiness.check("broker");
        assert!(readiness.is_ready());
        again.not_ready("gone");
        assert!(!readiness.is_ready());
    }

    #[test]
    fn draining_is_not_ready_for_good() {
        let readiness = Readiness::new();
        let broker = readiness.check("broker");
        readiness.drain();
        broker.ready();
        assert_eq!(readiness.not_ready(), [("shutdown", "draining".to_owned())]);
    }
}
