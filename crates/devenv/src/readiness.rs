//! How a server shows that it serves.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::DevEnvError;
use crate::files;
use crate::settings::random_hex;

/// How a server shows that it serves.
#[derive(Debug, Clone)]
pub(crate) enum Readiness {
    /// It writes `ready` into this file, as `PostgreSQL` does into `postmaster.pid`.
    PidFile(PathBuf),
    /// It sends `READY=1` to the socket in `NOTIFY_SOCKET` (the protocol of `sd_notify(3)`).
    Notifies,
    /// It answers on a port: what is sent, and what the answer begins with.
    Answers {
        port: u16,
        ask: String,
        answer: &'static str,
    },
}

impl Readiness {
    /// Has the server shown it? With `notices`, waits for one a moment.
    pub(crate) fn shown(&self, notices: Option<&Notices>) -> bool {
        match self {
            // Its eighth line is the state; the file is written anew at each start and removed before it.
            Self::PidFile(file) => fs::read_to_string(file).is_ok_and(|text| {
                text.lines()
                    .nth(7)
                    .is_some_and(|state| state.trim() == "ready")
            }),
            Self::Notifies => notices.is_some_and(Notices::ready),
            Self::Answers { port, ask, answer } => {
                answers(*port, ask.as_bytes(), answer.as_bytes()).unwrap_or(false)
            }
        }
    }
}

fn answers(port: u16, ask: &[u8], answer: &[u8]) -> std::io::Result<bool> {
    // The loopback answers at once or not at all.
    let limit = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(ask)?;
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got)?;
    Ok(got == answer)
}

/// The receiving end of `sd_notify(3)`, under an abstract name: no file, no path limit, nothing to remove.
pub(crate) struct Notices {
    pub(crate) name: String,
    socket: UnixDatagram,
}

impl Notices {
    pub(crate) fn listen() -> Result<Self, DevEnvError> {
        let name = format!("orderly-devenv-{}", random_hex()?);
        let path = Path::new("the notification socket");
        let address = SocketAddr::from_abstract_name(&name).map_err(files::io("name", path))?;
        let socket = UnixDatagram::bind_addr(&address).map_err(files::io("open", path))?;
        // The wait for a notice is the pace at which the server's life is looked at.
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .map_err(files::io("set up", path))?;
        Ok(Self { name, socket })
    }

    fn ready(&self) -> bool {
        let mut buffer = [0; 1024];
        let Ok(length) = self.socket.recv(&mut buffer) else {
            return false;
        };
        buffer[..length]
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"READY=1")
    }
}
