//! A schema of the race's own in somebody's database, and the connections to it. Nothing outside of the schema is touched.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// A server on this side of the world answers in milliseconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The schema. To be dropped by [`Scratch::drop_schema`]: a destructor cannot wait for a server.
pub(super) struct Scratch {
    config: Config,
    schema: String,
}

impl Scratch {
    /// Makes the schema and runs `tables` in it.
    pub(super) async fn create(database_url: &str, tables: &str) -> Result<Self> {
        // Not with the error, which may repeat the URL: it holds a password.
        let mut config: Config = database_url
            .parse()
            .ok()
            .context("the database's URL is not one that this driver reads")?;
        let schema = format!("orderly_race_{}", Uuid::new_v4().simple());
        config
            .application_name("orderly race")
            .connect_timeout(CONNECT_LIMIT)
            // `synchronous_commit` is said because some databases turn it off: a durable write is compared with a durable one.
            .options(format!("-c search_path={schema} -c synchronous_commit=on"));
        let scratch = Self { config, schema };
        let client = scratch.connect().await?;
        let schema = &scratch.schema;
        // One statement list is one transaction: the schema is there with its tables, or not at all.
        client
            .batch_execute(&format!("create schema {schema}; {tables}"))
            .await
            .context("make the scratch tables")?;
        Ok(scratch)
    }

    pub(super) fn name(&self) -> &str {
        &self.schema
    }

    /// A connection; what carries it ends with it.
    pub(super) async fn connect(&self) -> Result<Client> {
        let connecting = self.config.connect(NoTls);
        let (client, connection) = connecting.await.context("connect to the database")?;
        tokio::spawn(async move {
            // Whoever used the client has been told.
            connection.await.ok();
        });
        Ok(client)
    }

    /// Removes everything. Connections that were in the middle of something have been dropped; the server may still be
    /// ending them.
    pub(super) async fn drop_schema(&self) -> Result<()> {
        let client = self.connect().await?;
        client
            .batch_execute(&format!(
                "set lock_timeout = '10s'; set client_min_messages = warning; drop schema {} cascade",
                self.schema
            ))
            .await
            .with_context(|| format!("drop the schema {}", self.schema))
    }
}

/// A pool as web applications have one: a request takes a connection, or waits for one.
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
    permits: Semaphore,
}

/// A connection that goes back when the request is over.
pub(super) struct Taken<'a, T> {
    pool: &'a Pool<T>,
    connection: Option<T>,
    _permit: SemaphorePermit<'a>,
}

impl<T> Pool<T> {
    pub(super) fn new(connections: Vec<T>) -> Self {
        Self {
            permits: Semaphore::new(connections.len()),
            idle: Mutex::new(connections),
        }
    }

    pub(super) async fn take(&self) -> Taken<'_, T> {
        let permit = self.permits.acquire().await.expect("it is never closed");
        Taken {
            pool: self,
            connection: self.idle().pop(),
            _permit: permit,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().expect("nothing under it can panic")
    }
}

const HELD: &str = "held until it is dropped, since there are as many permits as connections";

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.connection.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.connection.as_mut().expect(HELD)
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        // Before the permit, which a waiter takes for a connection.
        self.pool.idle().extend(self.connection.take());
    }
}
