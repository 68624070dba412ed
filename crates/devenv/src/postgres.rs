//! `PostgreSQL`: a cluster of its own, reached over TCP on the loopback address with a random password.
//!
//! No Unix socket: its path would be limited to 107 bytes, and nothing here needs one.

use std::ffi::OsString;
use std::fs;

use nix::sys::signal::Signal;

use crate::clients::{Clients, run_tool};
use crate::error::DevEnvError;
use crate::files;
use crate::process::ServerProcess;
use crate::readiness::Readiness;
use crate::spec::Spec;

/// The database that [`crate::DevEnv::database_url`] names.
pub(crate) const DATABASE: &str = "orderly";
const FOLDER: &str = "postgres";
const CLUSTER: &str = "data";

/// The server process, not started.
pub(crate) fn server(clients: &Clients) -> ServerProcess {
    ServerProcess::new(spec(clients))
}

/// Makes the cluster if there is none, and starts the server.
pub(crate) fn start(clients: &Clients, server: &ServerProcess) -> Result<(), DevEnvError> {
    initialize(clients)?;
    server.start_blocking()?;
    let sql = format!("select 1 from pg_database where datname = '{DATABASE}'");
    if clients.psql("postgres", &[&sql])?.is_empty() {
        clients.psql("postgres", &[&format!("create database {DATABASE}")])?;
    }
    Ok(())
}

fn spec(clients: &Clients) -> Spec {
    let folder = clients.place.folder.join(FOLDER);
    let cluster = folder.join(CLUSTER);
    let setting = |text: &str| [OsString::from("-c"), OsString::from(text)];
    let mut arguments = vec![OsString::from("-D"), cluster.clone().into_os_string()];
    arguments.extend(setting("listen_addresses=127.0.0.1"));
    arguments.extend(setting(&format!("port={}", clients.settings.postgres_port)));
    arguments.extend(setting("unix_socket_directories="));
    // Several roles and test threads, each with a pool of its own.
    arguments.extend(setting("max_connections=200"));
    // The promises under test rest on these two.
    arguments.extend(setting("fsync=on"));
    arguments.extend(setting("synchronous_commit=on"));
    Spec {
        name: "PostgreSQL",
        program: clients.binaries.postgres.join("postgres"),
        arguments,
        environment: vec![("LANG", "C.UTF-8".into())],
        account: clients.place.postgres,
        readiness: Readiness::PidFile(cluster.join("postmaster.pid")),
        // "Fast": ends sessions and writes a checkpoint. SIGTERM would wait for clients to leave.
        stop: Signal::SIGINT,
        folder,
    }
}

/// Creates the folder for the cluster, then the cluster under another name, so that a half-made one is never used.
fn initialize(clients: &Clients) -> Result<(), DevEnvError> {
    let spec = spec(clients);
    let account = clients.place.postgres;
    files::create_folder(&spec.folder, 0o700, account)?;
    let cluster = spec.folder.join(CLUSTER);
    if cluster.exists() {
        return Ok(());
    }
    let new = spec.folder.join("data.new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(files::io("remove", &new))?;
    }
    let password = spec.folder.join("password");
    files::write_secret(&password, &clients.settings.password, account)?;
    let mut command = spec.command(&clients.binaries.postgres.join("initdb"));
    command
        .args(["--username", "postgres", "--auth", "scram-sha-256"])
        .args(["--encoding", "UTF8", "--locale", "C.UTF-8"])
        .arg("--pwfile")
        .arg(&password)
        .arg("--pgdata")
        .arg(&new);
    run_tool(command)?;
    fs::remove_file(&password).map_err(files::io("remove", &password))?;
    fs::rename(&new, &cluster).map_err(files::io("name", &cluster))
}
