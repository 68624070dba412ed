//! The commands that this process accepted lately under a key, so that a retry is answered without publishing again.
//!
//! A hint that may forget: what it does not know is published again, and the worker finds the duplicate.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use orderly_domain::CommandId;
use orderly_protocol::{Fingerprint, Timestamp};

/// Commands remembered, about 150 bytes each: 15 MB at most, and retries come within seconds or minutes, at 1,000
/// commands a second within the last 100,000.
const COMMANDS: NonZeroUsize = NonZeroUsize::new(100_000).expect("100,000 is not zero");

/// What is remembered of an accepted command; its ids follow from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Of the request that was accepted; another one reuses its key.
    pub(crate) fingerprint: Fingerprint,
    /// When it was first accepted here.
    pub(crate) accepted_at: Timestamp,
}

/// Accepted commands by command id, which is a function of producer and key.
#[derive(Debug)]
pub(crate) struct KeyCache {
    accepted: Mutex<LruCache<CommandId, Known>>,
}

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self {
            accepted: Mutex::new(LruCache::new(COMMANDS)),
        }
    }

    pub(crate) fn get(&self, command_id: CommandId) -> Option<Known> {
        self.with(|cache| cache.get(&command_id).copied())
    }

    /// Only for a command whose publish was confirmed: an entry promises that there is nothing left to publish.
    pub(crate) fn insert(&self, command_id: CommandId, known: Known) {
        self.with(|cache| {
            // Of two requests at once the first owns the outcome, as far as this process can tell.
            if !cache.contains(&command_id) {
                cache.put(command_id, known);
            }
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut LruCache<CommandId, Known>) -> T) -> T {
        f(&mut self.accepted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_first_request_under_a_key_stays_known() {
        let cache = KeyCache::new();
        let id = CommandId(Uuid::from_u128(1));
        let known = |fill| Known {
            fingerprint: Fingerprint([fill; 32]),
            accepted_at: OffsetDateTime::UNIX_EPOCH,
        };
        assert_eq!(cache.get(id), None);
        cache.insert(id, known(1));
        cache.insert(id, known(2));
        assert_eq!(cache.get(id), Some(known(1)));
    }

    #[test]
    fn what_was_not_asked_for_longest_is_forgotten() {
        let cache = KeyCache::new();
        let known = Known {
            fingerprint: Fingerprint([0; 32]),
            accepted_at: OffsetDateTime::UNIX_EPOCH,
        };
        let id = |n: usize| CommandId(Uuid::from_u128(n as u128));
        for n in 0..=COMMANDS.get() {
            cache.insert(id(n), known);
        }
        assert_eq!(cache.get(id(0)), None);
        assert!(cache.get(id(1)).is_some());
    }
}
