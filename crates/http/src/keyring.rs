//! The API keys of all producers, and the keys that sign sessions, held in memory so that authenticating touches no database.
//!
//! Reads keys, never writes them.

use std::collections::HashMap;
use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use lru::LruCache;
use orderly_protocol::ProblemCode;
use orderly_protocol::api_key::{self, SecretHash};
use orderly_store::{ApiKey, Store, StoreError};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authorized::unauthorized;
use crate::{Caller, Check, ProblemResponse};

/// How often all keys are read: with the timeout below, a revoked key is refused within 10 s even if its NOTIFY was lost.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// How long one read of all keys may take.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(4);

/// How long one request may wait for the lookup of a key that is not in memory.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Lookups at a time: guessing keys must not take the database's connections.
const LOOKUPS: usize = 4;

/// How long an unknown key id is refused without another lookup: short, since the key may just be in the making.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// Unknown key ids remembered, about 100 bytes each.
const UNKNOWN_IDS: NonZeroUsize = NonZeroUsize::new(10_000).expect("10,000 is not zero");

/// All live keys of the database. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Keyring {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    live: ArcSwap<HashMap<String, Key>>,
    /// Newest first; empty until the first read.
    session_keys: ArcSwap<Vec<[u8; 32]>>,
    unknown: Mutex<LruCache<String, Instant>>,
    lookups: Semaphore,
}

#[derive(Clone, Debug)]
struct Key {
    secret_hash: SecretHash,
    caller: Caller,
}

impl Keyring {
    /// A keyring over `store`, kept fresh by a task in `tracker` until `token` is cancelled. `check` becomes ready with the
    /// first load and stays so: without the database the known keys go on working.
    #[must_use]
    pub fn start(
        store: Store,
        check: Check,
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> Self {
        let changed = store.watch_keys(tracker, token);
        let keyring = Self::empty(store);
        tracker.spawn(keyring.clone().run(check, changed, token.clone()));
        keyring
    }

    fn empty(store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                live: ArcSwap::default(),
                session_keys: ArcSwap::default(),
                unknown: Mutex::new(LruCache::new(UNKNOWN_IDS)),
                lookups: Semaphore::new(LOOKUPS),
            }),
        }
    }

    /// The owner of the key `token`.
    ///
    /// # Errors
    /// 401 if no live key is `token`; 503 if that cannot be known because the database is away.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, ProblemResponse> {
        const REFUSED: &str = "this API key is malformed, unknown or revoked";
        let presented = api_key::parse(token).map_err(|_| unauthorized(REFUSED))?;
        let key = self.find(&presented.key_id).await?;
        key.filter(|key| key.secret_hash.matches(&presented.secret_hash))
            .map(|key| key.caller)
            .ok_or_else(|| unauthorized(REFUSED))
    }

    /// The owner of the live key with this id, if there is one: for whoever proved otherwise that he had it.
    pub(crate) async fn owner(&self, key_id: &str) -> Result<Option<Caller>, ProblemResponse> {
        Ok(self.find(key_id).await?.map(|key| key.caller))
    }

    /// The keys of sessions, newest first; none before they were first read.
    pub(crate) fn session_keys(&self) -> Arc<Vec<[u8; 32]>> {
        self.inner.session_keys.load_full()
    }

    /// Keeps the keys fresh until `token` is cancelled: every 5 s and whenever the database says that they changed.
    async fn run(self, check: Check, mut changed: watch::Receiver<()>, token: CancellationToken) {
        let rounds = async {
            loop {
                // Marked before the read: what changes meanwhile starts another round.
                changed.mark_unchanged();
                match tokio::time::timeout(REFRESH_TIMEOUT, self.refresh()).await {
                    Ok(Ok(())) => check.ready(),
                    Ok(Err(error)) => {
                        tracing::warn!(error = &error as &dyn Error, "cannot refresh the API keys");
                    }
                    Err(_) => tracing::warn!("refreshing the API keys took too long"),
                }
                // The sender is gone only when the process stops.
                if let Ok(Err(_)) = tokio::time::timeout(REFRESH_EVERY, changed.changed()).await {
                    return;
                }
            }
        };
        token.run_until_cancelled(rounds).await;
    }

    async fn find(&self, key_id: &str) -> Result<Option<Key>, ProblemResponse> {
        let in_memory = self.inner.live.load().get(key_id).cloned();
        match in_memory {
            Some(key) => Ok(Some(key)),
            None => self.look_up(key_id).await,
        }
    }

    /// The key from the database: made a moment ago, or never.
    async fn look_up(&self, key_id: &str) -> Result<Option<Key>, ProblemResponse> {
        let inner = &self.inner;
        if self.lately_unknown(key_id) {
            return Ok(None);
        }
        let Ok(_permit) = inner.lookups.try_acquire() else {
            return Err(cannot_check());
        };
        let found = match tokio::time::timeout(LOOKUP_TIMEOUT, inner.store.live_key(key_id)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn Error, "cannot look up an API key");
                return Err(cannot_check());
            }
            Err(_) => return Err(cannot_check()),
        };
        let Some(found) = found else {
            self.unknown(|ids| ids.put(key_id.to_owned(), Instant::now()));
            return Ok(None);
        };
        let key = Key::from(found);
        // If it was revoked meanwhile, the next refresh takes it out again.
        inner.live.rcu(|live| {
            let mut live = HashMap::clone(live);
            live.insert(key_id.to_owned(), key.clone());
            live
        });
        Ok(Some(key))
    }

    fn lately_unknown(&self, key_id: &str) -> bool {
        self.unknown(|ids| {
            ids.get(key_id)
                .is_some_and(|since| since.elapsed() < UNKNOWN_FOR)
        })
    }

    fn unknown<T>(&self, f: impl FnOnce(&mut LruCache<String, Instant>) -> T) -> T {
        f(&mut self
            .inner
            .unknown
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        let keys = self.inner.store.live_keys().await?;
        let live = keys
            .into_iter()
            .map(|key| (key.key_id.clone(), Key::from(key)))
            .collect();
        self.inner.live.store(Arc::new(live));
        let session_keys = self.inner.store.session_keys().await?;
        self.inner.session_keys.store(Arc::new(session_keys));
        Ok(())
    }
}

impl From<ApiKey> for Key {
    fn from(key: ApiKey) -> Self {
        let caller = Caller {
            producer: key.producer,
            key_id: key.key_id.into(),
            name: key.name.into(),
            scopes: key.scopes.into(),
        };
        Self {
            secret_hash: SecretHash(key.secret_hash),
            caller,
        }
    }
}

pub(crate) fn cannot_check() -> ProblemResponse {
    ProblemResponse::new(
        ProblemCode::DatabaseUnavailable,
        "who sent this cannot be checked right now",
    )
    .retry_after(1)
}

#[cfg(test)]
mod tests {
    use orderly_store::{SessionProfile, StoreOptions};

    use super::*;

    /// A keyring whose database is not there, so that every lookup shows as 503.
    fn without_database() -> Keyring {
        let options = StoreOptions {
            application_name: "orderly-http-tests".to_owned(),
            max_connections: 1,
            profile: SessionProfile::General,
        };
        let store = Store::connect_lazy("postgres://nobody@127.0.0.1:1/none", &options).unwrap();
        Keyring::empty(store)
    }

    #[tokio::test]
    async fn an_unknown_id_is_not_looked_up_again_within_a_second() {
        let keyring = without_database();
        let key = api_key::generate("test").unwrap();
        let status = async || {
            keyring
                .authenticate(&key.token)
                .await
                .unwrap_err()
                .problem()
                .status
        };
        let looked_up = |ago| {
            let since = Instant::now().checked_sub(ago).unwrap();
            keyring.unknown(|ids| ids.put(key.key_id.clone(), since));
        };
        looked_up(Duration::ZERO);
        assert_eq!(status().await, 401);
        looked_up(UNKNOWN_FOR);
        assert_eq!(status().await, 503);
    }

    #[tokio::test]
    async fn lookups_at_a_time_are_bounded() {
        let keyring = without_database();
        let key = api_key::generate("test").unwrap();
        let _all = keyring.inner.lookups.acquire_many(4).await.unwrap();
        let started = Instant::now();
        let refused = keyring.authenticate(&key.token).await.unwrap_err();
        assert_eq!(refused.problem().status, 503);
        assert!(started.elapsed() < LOOKUP_TIMEOUT);
    }
}
