//! `Redis`, for those who ask for it.

use std::ffi::OsString;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::clients::Clients;
use crate::error::DevEnvError;
use crate::files;
use crate::process::ServerProcess;
use crate::readiness::Readiness;
use crate::spec::Spec;

const FOLDER: &str = "redis";

/// The server process, not started; `None` if it is not installed or has no port.
pub(crate) fn server(clients: &Clients) -> Option<ServerProcess> {
    let program = clients.binaries.redis.clone()?;
    let port = clients.settings.redis_port?;
    let password = &clients.settings.password;
    let folder = clients.place.folder.join(FOLDER);
    let config: PathBuf = folder.join("redis.conf");
    Some(ServerProcess::new(Spec {
        name: "Redis",
        program,
        arguments: vec![OsString::from(config)],
        environment: Vec::new(),
        account: None,
        readiness: Readiness::Answers {
            port,
            ask: format!("AUTH {password}\r\nPING\r\n"),
            answer: "+OK\r\n+PONG\r\n",
        },
        stop: Signal::SIGTERM,
        folder,
    }))
}

/// Writes the configuration and starts the server.
pub(crate) fn start(clients: &Clients, server: &ServerProcess) -> Result<(), DevEnvError> {
    let folder = clients.place.folder.join(FOLDER);
    files::create_folder(&folder, 0o700, None)?;
    let port = clients.settings.redis_port.unwrap_or_default();
    let config = format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {}\ndir {}\nappendonly yes\n",
        clients.settings.password,
        folder.display(),
    );
    // In a file: an argument would show the password in the process list.
    files::write_secret(&folder.join("redis.conf"), &config, None)?;
    server.start_blocking()
}
