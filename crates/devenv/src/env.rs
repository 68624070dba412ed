//! One set of private servers: their start, in parallel, and their end.

use std::fs::{self, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::binaries::Binaries;
use crate::clients::Clients;
use crate::error::DevEnvError;
use crate::guardian::Guardian;
use crate::place::Place;
use crate::port::Port;
use crate::process::{ServerProcess, off_async};
use crate::servers::Servers;
use crate::settings::{Settings, random_hex};
use crate::spec::{ENDED_FILE, launcher};
use crate::{files, postgres};

/// How long a start waits for the guardian of an owner that has just died. It ends its work within about 20 s.
const GUARDIAN_LIMIT: Duration = Duration::from_secs(30);

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct DevEnvOptions {
    /// The data folder. If `PostgreSQL`'s own user cannot reach it (as root), the data lies elsewhere: see
    /// [`DevEnv::data_dir`].
    pub data_dir: PathBuf,
    /// Keep the data for the next start; else remove it at the end.
    pub keep: bool,
    /// Start `Redis` too.
    pub redis: bool,
    /// Brokers, of one cluster if there are several.
    pub brokers: u16,
    /// Give the first broker its management API. It costs memory and some seconds of its start.
    pub management: bool,
}

impl DevEnvOptions {
    /// Servers whose data is kept in `data_dir`.
    #[must_use]
    pub fn kept(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            keep: true,
            redis: false,
            brokers: 1,
            management: false,
        }
    }

    /// Servers whose data is removed when they end, in a new folder of the system's folder for temporary files.
    ///
    /// # Errors
    /// When the system gives no random name.
    pub fn temporary() -> Result<Self, DevEnvError> {
        let name = format!("orderly-{}", random_hex()?);
        Ok(Self {
            data_dir: std::env::temp_dir().join(name),
            keep: false,
            redis: false,
            brokers: 1,
            management: false,
        })
    }
}

/// Private `PostgreSQL` and `RabbitMQ`, running.
///
/// Dropped, it ends the servers without waiting for that; so does the end of this process, however it comes.
#[derive(Debug)]
pub struct DevEnv {
    clients: Clients,
    servers: Servers,
    guardian: Guardian,
    /// Held for as long as a stopped server may be started again.
    _ports: Vec<Port>,
}

impl DevEnv {
    /// Starts the servers, on the data of the last start if there is any, and returns once they serve.
    ///
    /// # Errors
    /// When a program is missing, the folder is in use, or a server does not start. Nothing is left running then.
    pub async fn start(options: DevEnvOptions) -> Result<Self, DevEnvError> {
        off_async(move || Self::start_blocking(&options)).await
    }

    pub(crate) fn start_blocking(options: &DevEnvOptions) -> Result<Self, DevEnvError> {
        let binaries = Binaries::find(options.redis)?;
        let place = Place::settle(&options.data_dir)?;
        let lock = lock(&place.folder)?;
        let guardian = Guardian::start(&place.folder, options.keep, &lock)?;
        // From here on the guardian cleans up, whatever happens.
        let ended = place.folder.join(ENDED_FILE);
        if ended.exists() {
            fs::remove_file(&ended).map_err(files::io("remove", &ended))?;
        }
        if let Some(settings) = Settings::read(&place.folder)? {
            let redis = settings.redis_port.is_some();
            let last = Clients {
                binaries: binaries.clone(),
                place: place.clone(),
                settings,
            };
            // Before the ports are looked at: these may hold them.
            Servers::new(&last, redis).end_stale();
        }
        let (settings, ports) = Settings::prepare(&place.folder, options)?;
        let clients = Clients {
            binaries,
            place,
            settings,
        };
        let env = Self {
            servers: Servers::new(&clients, options.redis),
            clients,
            guardian,
            _ports: ports,
        };
        match env.servers.start(&env.clients) {
            Ok(()) => Ok(env),
            Err(error) => {
                env.stop_blocking();
                Err(error)
            }
        }
    }

    /// A program that ends with the servers at the latest, however this process ends. One of a name may run at a time; its
    /// environment is empty.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn companion(
        &self,
        name: &str,
        program: &Path,
    ) -> Result<std::process::Command, DevEnvError> {
        let data = &self.clients.place.folder;
        let folder = data.join("companions").join(name);
        fs::create_dir_all(&folder).map_err(files::io("make", &folder))?;
        Ok(launcher(data, &folder, program))
    }

    /// The URL of a database of its own, `orderly`; the user is a superuser.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.clients.database_url(postgres::DATABASE)
    }

    /// The URL of the default virtual host.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        self.clients.amqp_url("/")
    }

    /// The URL of the broker's management API, if it was asked for, without the user and password of [`DevEnv::amqp_url`].
    #[must_use]
    pub fn management_url(&self) -> Option<String> {
        let port = self.clients.settings.management_port?;
        Some(format!("http://127.0.0.1:{port}/"))
    }

    /// The URL of `Redis`, if it was asked for.
    #[must_use]
    pub fn redis_url(&self) -> Option<String> {
        self.servers.redis.as_ref()?;
        self.clients.redis_url()
    }

    /// Where the data lies in fact.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.clients.place.folder
    }

    /// The database server.
    #[must_use]
    pub fn postgres(&self) -> &ServerProcess {
        &self.servers.postgres
    }

    /// The broker; of a cluster the first one.
    ///
    /// # Panics
    /// Never: there is one.
    #[must_use]
    pub fn rabbitmq(&self) -> &ServerProcess {
        let first = self.servers.rabbitmq.first();
        first.expect("at least one broker runs")
    }

    /// All brokers, each with its port.
    #[must_use]
    pub fn brokers(&self) -> Vec<(&ServerProcess, u16)> {
        let nodes = self.clients.settings.brokers();
        let ports = nodes.into_iter().map(|node| node.amqp_port);
        self.servers.rabbitmq.iter().zip(ports).collect()
    }

    /// The cache, if it was asked for.
    #[must_use]
    pub fn redis(&self) -> Option<&ServerProcess> {
        self.servers.redis.as_ref()
    }

    /// Runs statements on `database` through `psql` and returns what it prints: rows as lines, columns parted by `|`.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn psql(&self, database: &str, statements: &[&str]) -> Result<String, DevEnvError> {
        self.clients.psql_off_async(database, statements).await
    }

    /// Runs `rabbitmqctl` against the broker and returns what it prints. Takes about half a second.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String, DevEnvError> {
        self.rabbitmqctl_on(0, arguments).await
    }

    /// The same against another broker of the cluster, by its place among [`DevEnv::brokers`].
    ///
    /// # Errors
    /// When the command fails.
    ///
    /// # Panics
    /// When there is no such broker.
    pub async fn rabbitmqctl_on(
        &self,
        broker: usize,
        arguments: &[&str],
    ) -> Result<String, DevEnvError> {
        let clients = &self.clients;
        clients.rabbitmqctl_off_async(broker, arguments).await
    }

    /// Stops every server cleanly and, unless it is kept, removes the data.
    pub async fn stop(self) {
        off_async(move || self.stop_blocking()).await;
    }

    pub(crate) fn clients(&self) -> &Clients {
        &self.clients
    }

    fn stop_blocking(self) {
        self.servers.stop();
        self.guardian.finish();
    }
}

/// Locks the data folder for this process; the kernel unlocks it when this process and its guardian have ended.
fn lock(folder: &Path) -> Result<fs::File, DevEnvError> {
    let path = folder.join("lock");
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(files::io("open", &path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(files::io("lock", &path)(error)),
            Err(TryLockError::WouldBlock) => {
                let owner = owner(&mut file);
                let alive = Path::new(&format!("/proc/{owner}")).exists();
                if alive || begun.elapsed() > GUARDIAN_LIMIT {
                    return Err(DevEnvError::InUse {
                        folder: folder.to_owned(),
                        pid: owner,
                    });
                }
                // The owner is dead: its guardian is still ending its servers.
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    let write = |file: &mut fs::File| {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(files::io("write", &path))?;
    Ok(file)
}

/// The process that wrote its id into the lock file; 0 if it did not get to it.
fn owner(file: &mut fs::File) -> i32 {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    read.ok()
        .and_then(|_| text.trim().parse().ok())
        .unwrap_or(0)
}
