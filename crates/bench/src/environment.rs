//! The servers that all contestants of a run share: one private `PostgreSQL` and one private `RabbitMQ`, durable.

use std::path::PathBuf;

use anyhow::{Context, Result};
use orderly_devenv::{DevEnv, DevEnvOptions};
use serde::Serialize;

use crate::db;
use crate::procfs::Group;

/// What decides about durability and speed of Postgres.
const SETTINGS: [&str; 10] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "autovacuum_naptime",
    "max_connections",
];

/// The servers, running.
pub(crate) struct Environment {
    servers: DevEnv,
}

/// A setting that matters, as the server says it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Environment {
    /// In `data_dir`, or in a folder of its own that goes with the run.
    pub(crate) async fn start(data_dir: Option<PathBuf>) -> Result<Self> {
        let options = match data_dir {
            Some(data_dir) => DevEnvOptions {
                data_dir,
                keep: false,
                redis: false,
                brokers: 1,
                management: false,
            },
            None => DevEnvOptions::temporary()?,
        };
        let servers = DevEnv::start(options).await.context("start the servers")?;
        Ok(Self { servers })
    }

    pub(crate) async fn stop(self) {
        self.servers.stop().await;
    }

    pub(crate) fn database_url(&self, database: &str) -> String {
        let url = self.servers.database_url();
        let (server, _) = url
            .rsplit_once('/')
            .expect("a URL of a database has a path");
        format!("{server}/{database}")
    }

    pub(crate) fn amqp_url(&self, vhost: &str) -> String {
        let url = self.servers.amqp_url();
        let (server, _) = url.rsplit_once('/').expect("a URL of a broker has a path");
        format!("{server}/{vhost}")
    }

    /// Makes a database, empty or as `template` is; one that is there goes first.
    pub(crate) async fn create_database(&self, name: &str, template: Option<&str>) -> Result<()> {
        self.drop_database(name).await?;
        let admin = db::connect(&self.database_url("postgres")).await?;
        let from = template.map_or(String::new(), |template| format!(" template {template}"));
        let create = format!("create database {name}{from}");
        Ok(admin.batch_execute(&create).await?)
    }

    pub(crate) async fn drop_database(&self, name: &str) -> Result<()> {
        let admin = db::connect(&self.database_url("postgres")).await?;
        let drop = format!("drop database if exists {name} with (force)");
        Ok(admin.batch_execute(&drop).await?)
    }

    /// Makes a virtual host that the servers' user may do everything in.
    pub(crate) async fn create_vhost(&self, name: &str) -> Result<()> {
        let url = self.servers.amqp_url();
        let user = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once(':'))
            .map(|(user, _)| user)
            .context("the broker's URL names no user")?;
        let all = r#"<<".*">>"#;
        // One call instead of two: each costs half a second of CPU.
        let make = format!(
            r#"ok = rabbit_vhost:add(<<"{name}">>, <<"{user}">>),
               ok = rabbit_auth_backend_internal:set_permissions(
                   <<"{user}">>, <<"{name}">>, {all}, {all}, {all}, <<"{user}">>)."#
        );
        self.servers.rabbitmqctl(&["eval", &make]).await?;
        Ok(())
    }

    pub(crate) async fn drop_vhost(&self, name: &str) -> Result<()> {
        self.servers.rabbitmqctl(&["delete_vhost", name]).await?;
        Ok(())
    }

    /// What the servers say of themselves.
    pub(crate) async fn settings(&self) -> Result<Vec<Setting>> {
        let client = db::connect(&self.database_url("postgres")).await?;
        let mut settings = Vec::new();
        for name in SETTINGS {
            let row = client
                .query_one("select current_setting($1)", &[&name])
                .await?;
            settings.push(Setting {
                name: format!("postgres {name}"),
                value: row.get(0),
            });
        }
        let version = self.servers.rabbitmqctl(&["version"]).await?;
        settings.push(Setting {
            name: "rabbitmq version".to_owned(),
            value: version.trim().to_owned(),
        });
        Ok(settings)
    }

    /// The servers' processes.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let servers = [
            ("postgres", self.servers.postgres().pid()),
            ("rabbitmq", self.servers.rabbitmq().pid()),
        ];
        let group = |(name, pid): (&str, Option<u32>)| {
            Some(Group {
                name: name.to_owned(),
                root: pid?,
                with_descendants: true,
            })
        };
        servers.into_iter().filter_map(group).collect()
    }

    /// Where logs of this run can lie.
    pub(crate) fn folder(&self) -> PathBuf {
        self.servers.data_dir().to_owned()
    }
}
