//! The servers of one data folder, together.

use std::thread::{ScopedJoinHandle, scope};

use crate::clients::Clients;
use crate::error::DevEnvError;
use crate::process::ServerProcess;
use crate::{postgres, rabbitmq, redis};

#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) postgres: ServerProcess,
    /// The first one, and those that joined it.
    pub(crate) rabbitmq: Vec<ServerProcess>,
    pub(crate) redis: Option<ServerProcess>,
    port_mapper: ServerProcess,
}

impl Servers {
    /// Handles on the servers, none started.
    pub(crate) fn new(clients: &Clients, redis: bool) -> Self {
        Self {
            postgres: postgres::server(clients),
            rabbitmq: (clients.settings.brokers().into_iter())
                .map(|node| rabbitmq::server(clients, node))
                .collect(),
            redis: redis.then(|| redis::server(clients)).flatten(),
            port_mapper: rabbitmq::port_mapper(clients),
        }
    }

    /// Starts all, in parallel.
    pub(crate) fn start(&self, clients: &Clients) -> Result<(), DevEnvError> {
        scope(|scope| {
            let database = scope.spawn(|| postgres::start(clients, &self.postgres));
            let broker =
                scope.spawn(|| rabbitmq::start(clients, &self.port_mapper, &self.rabbitmq));
            let cache = match &self.redis {
                Some(server) => redis::start(clients, server),
                None => Ok(()),
            };
            joined(database).and(joined(broker)).and(cache)
        })
    }

    /// Stops all cleanly.
    pub(crate) fn stop(&self) {
        self.end(ServerProcess::stop_blocking);
    }

    /// Ends what an earlier owner of the folder left running.
    pub(crate) fn end_stale(&self) {
        self.end(ServerProcess::end_stale);
    }

    fn end(&self, way: fn(&ServerProcess)) {
        scope(|scope| {
            let together = [&self.postgres].into_iter();
            for server in together.chain(&self.rabbitmq).chain(&self.redis) {
                scope.spawn(move || way(server));
            }
        });
        // Last: the broker would miss it.
        way(&self.port_mapper);
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
