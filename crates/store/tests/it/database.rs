//! A fresh, migrated database, and a way to look at it that is not the store's.

use std::time::{Duration, Instant};

use orderly_devenv::{TestEnv, test_env};
use orderly_store::{Actor, SessionProfile, Store, StoreError, StoreOptions};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};

/// Far beyond what any step takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Database {
    pub(crate) store: Store,
    /// Plain sessions without the store's limits.
    pub(crate) raw: PgPool,
    pub(crate) env: TestEnv,
}

impl Database {
    pub(crate) async fn fresh() -> Self {
        let env = test_env().await;
        let raw = PgPoolOptions::new()
            .max_connections(4)
            .connect(&env.database_url)
            .await
            .expect("the test database answers");
        let store = connect(&env, SessionProfile::General).await;
        store.migrate().await.expect("the migrations apply");
        Self { store, raw, env }
    }

    /// Another process, as Postgres sees it.
    pub(crate) async fn connect(&self, profile: SessionProfile) -> Store {
        connect(&self.env, profile).await
    }

    /// Runs statements as they are.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.raw.execute(AssertSqlSafe(sql)).await?;
        Ok(())
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&self.raw)
            .await
            .expect("the count is read")
    }
}

async fn connect(env: &TestEnv, profile: SessionProfile) -> Store {
    let options = StoreOptions {
        application_name: "orderly-store-tests".to_owned(),
        max_connections: 16,
        profile,
    };
    Store::connect(&env.database_url, &options)
        .await
        .expect("the store connects")
}

/// Whoever tests.
pub(crate) fn actor() -> Actor {
    Actor::local("ada@shop")
}

/// Asks until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::task::yield_now().await;
    }
}
