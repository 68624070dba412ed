//! What can go wrong with private servers, told so that the reader knows what to do next.

use std::path::PathBuf;
use std::process::ExitStatus;

/// Why the private servers could not be started or used.
#[derive(Debug, thiserror::Error)]
pub enum DevEnvError {
    /// Programs are not installed.
    #[error(
        "not installed: {}; install with: apt-get install --no-install-recommends -y {}",
        .programs.join(", "),
        .packages.join(" ")
    )]
    Missing {
        /// The programs that were looked for.
        programs: Vec<&'static str>,
        /// The Debian packages that bring them.
        packages: Vec<&'static str>,
    },
    /// `PostgreSQL` refuses to run as root and its own user does not exist.
    #[error(
        "run as root, PostgreSQL needs the user `postgres`; install with: apt-get install --no-install-recommends -y postgresql"
    )]
    NoPostgresUser,
    /// Another process runs servers on this data folder.
    #[error("the data folder {} is in use by process {pid}", .folder.display())]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// Its owner, 0 if it could not be read.
        pid: i32,
    },
    /// The fallback folder belongs to somebody else.
    #[error("{} belongs to another user", .0.display())]
    ForeignFolder(PathBuf),
    /// Every port of the range is taken.
    #[error("no free port on 127.0.0.1 between {first} and {last}")]
    NoPort {
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
    /// A file or process operation failed.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The data folder's settings file is damaged.
    #[error("cannot read the settings in {}", .path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// A server ended while it was starting.
    #[error("{server} ended while starting ({status}); its log {} ends with:\n{tail}", .log.display())]
    Ended {
        /// Which server.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A server did not become ready in time.
    #[error("{server} is not ready after {seconds} s; its log {} ends with:\n{tail}", .log.display())]
    NotReady {
        /// Which server.
        server: &'static str,
        /// The limit that passed.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A server was told to start while it runs.
    #[error("{0} is already running")]
    Running(&'static str),
    /// A tool (`initdb`, `psql`, `rabbitmqctl`) failed.
    #[error("{program} failed ({status}): {output}")]
    Tool {
        /// The tool.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
}
