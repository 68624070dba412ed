//! Finds the servers' programs on this machine.

use std::path::{Path, PathBuf};

use crate::error::DevEnvError;

/// The oldest `PostgreSQL` that Orderly's schema is written for.
const OLDEST_POSTGRES: u32 = 15;

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    /// Folder of `initdb`, `postgres` and `psql`.
    pub(crate) postgres: PathBuf,
    /// Folder of the plain `rabbitmq-server` script. Debian's wrapper of that name in `/usr/sbin` drops the environment.
    pub(crate) rabbitmq: PathBuf,
    /// Erlang's port mapper.
    pub(crate) epmd: PathBuf,
    /// `redis-server`: certain only if it was asked for.
    pub(crate) redis: Option<PathBuf>,
}

impl Binaries {
    /// Finds everything, `Redis` if it is asked for, or says all that is missing at once.
    pub(crate) fn find(redis: bool) -> Result<Self, DevEnvError> {
        let mut programs = Vec::new();
        let mut packages = Vec::new();
        let mut missing = |program, package| {
            programs.push(program);
            packages.push(package);
        };
        let postgres = postgres_folder();
        if postgres.is_none() {
            missing("PostgreSQL 15 or newer", "postgresql");
        }
        let rabbitmq = rabbitmq_folder();
        let epmd = in_path("epmd");
        if rabbitmq.is_none() || epmd.is_none() {
            missing("RabbitMQ", "rabbitmq-server");
        }
        let redis_server = in_path("redis-server");
        if redis && redis_server.is_none() {
            missing("Redis", "redis-server");
        }
        match (postgres, rabbitmq, epmd) {
            (Some(postgres), Some(rabbitmq), Some(epmd)) if programs.is_empty() => Ok(Self {
                postgres,
                rabbitmq,
                epmd,
                redis: redis_server,
            }),
            _ => Err(DevEnvError::Missing { programs, packages }),
        }
    }
}

fn postgres_folder() -> Option<PathBuf> {
    let complete = |folder: &Path| {
        ["initdb", "postgres", "psql"]
            .iter()
            .all(|program| folder.join(program).is_file())
    };
    let packaged = subfolders("/usr/lib/postgresql")
        .filter_map(|folder| {
            let version: u32 = folder.file_name()?.to_str()?.parse().ok()?;
            (version >= OLDEST_POSTGRES).then(|| (version, folder.join("bin")))
        })
        .filter(|(_, folder)| complete(folder))
        .max()
        .map(|(_, folder)| folder);
    packaged.or_else(|| path_folders().find(|folder| complete(folder)))
}

fn rabbitmq_folder() -> Option<PathBuf> {
    // rabbitmq-env lies beside the plain script only, never beside Debian's wrapper.
    let complete = |folder: &PathBuf| {
        ["rabbitmq-server", "rabbitmqctl", "rabbitmq-env"]
            .iter()
            .all(|program| folder.join(program).is_file())
    };
    let versions = subfolders("/usr/lib/rabbitmq/lib").map(|folder| folder.join("sbin"));
    [
        PathBuf::from("/usr/lib/rabbitmq/bin"),
        PathBuf::from("/opt/rabbitmq/sbin"),
    ]
    .into_iter()
    .chain(versions)
    .chain(path_folders())
    .find(complete)
}

fn subfolders(folder: &str) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn in_path(program: &str) -> Option<PathBuf> {
    path_folders()
        .chain([PathBuf::from("/usr/bin"), PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
