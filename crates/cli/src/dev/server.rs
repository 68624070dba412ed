//! The servers of `orderly dev`: private ones, or given ones.

use std::path::Path;

use anyhow::Context;
use orderly_devenv::{DevEnv, DevEnvOptions};

/// Servers that are up.
pub(crate) enum Servers {
    /// Ended with this process.
    Private(Box<DevEnv>),
    /// Somebody else's.
    Given {
        database_url: String,
        amqp_url: String,
    },
}

impl Servers {
    pub(super) async fn start(
        data_dir: &Path,
        keep: bool,
        given: Option<(String, String)>,
    ) -> anyhow::Result<Self> {
        if let Some((database_url, amqp_url)) = given {
            return Ok(Self::Given {
                database_url,
                amqp_url,
            });
        }
        eprintln!("starting PostgreSQL and RabbitMQ …");
        let options = DevEnvOptions {
            data_dir: data_dir.to_owned(),
            keep,
            redis: false,
        };
        let servers = DevEnv::start(options).await.context("start the servers")?;
        Ok(Self::Private(Box::new(servers)))
    }

    pub(super) fn database_url(&self) -> String {
        match self {
            Self::Private(servers) => servers.database_url(),
            Self::Given { database_url, .. } => database_url.clone(),
        }
    }

    pub(super) fn amqp_url(&self) -> String {
        match self {
            Self::Private(servers) => servers.amqp_url(),
            Self::Given { amqp_url, .. } => amqp_url.clone(),
        }
    }

    /// The private ones.
    pub(crate) fn private(&self) -> Option<&DevEnv> {
        match self {
            Self::Private(servers) => Some(servers),
            Self::Given { .. } => None,
        }
    }

    /// Ends the private ones.
    pub(super) async fn stop(self) {
        if let Self::Private(servers) = self {
            eprintln!("stopping PostgreSQL and RabbitMQ …");
            servers.stop().await;
        }
    }
}
