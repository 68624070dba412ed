//! What a data folder must remember between starts: the ports, so that URLs stay the same, and the password.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::env::DevEnvOptions;
use crate::error::DevEnvError;
use crate::files;
use crate::port::Port;

const FILE: &str = "devenv.json";

/// One broker of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    /// From 1 on.
    pub(crate) number: u16,
    pub(crate) amqp_port: u16,
    pub(crate) dist_port: u16,
}

/// The settings file of a data folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) postgres_port: u16,
    pub(crate) amqp_port: u16,
    pub(crate) dist_port: u16,
    pub(crate) epmd_port: u16,
    pub(crate) redis_port: Option<u16>,
    #[serde(default)]
    pub(crate) management_port: Option<u16>,
    /// Brokers beside the first one, which they join.
    #[serde(default)]
    pub(crate) more_brokers: Vec<Node>,
    /// One secret for every server: they share one owner.
    pub(crate) password: String,
}

impl Settings {
    /// All brokers, the first one first.
    pub(crate) fn brokers(&self) -> Vec<Node> {
        let first = Node {
            number: 1,
            amqp_port: self.amqp_port,
            dist_port: self.dist_port,
        };
        [vec![first], self.more_brokers.clone()].concat()
    }

    /// Reads the settings of `folder`, if it has any.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, DevEnvError> {
        let path = folder.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| DevEnvError::Settings { path, source }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(files::io("read", &path)(error)),
        }
    }

    /// Reserves the ports, those of the last start if they are still free, and writes the settings.
    pub(crate) fn prepare(
        folder: &Path,
        options: &DevEnvOptions,
    ) -> Result<(Self, Vec<Port>), DevEnvError> {
        let last = Self::read(folder)?;
        let mut ports = Vec::new();
        let mut reserve = |wanted: Option<u16>| {
            let port = Port::reserve(wanted)?;
            let number = port.number();
            ports.push(port);
            Ok::<u16, DevEnvError>(number)
        };
        let settings = Self {
            postgres_port: reserve(last.as_ref().map(|last| last.postgres_port))?,
            amqp_port: reserve(last.as_ref().map(|last| last.amqp_port))?,
            dist_port: reserve(last.as_ref().map(|last| last.dist_port))?,
            epmd_port: reserve(last.as_ref().map(|last| last.epmd_port))?,
            redis_port: if options.redis {
                Some(reserve(last.as_ref().and_then(|last| last.redis_port))?)
            } else {
                last.as_ref().and_then(|last| last.redis_port)
            },
            management_port: if options.management {
                Some(reserve(
                    last.as_ref().and_then(|last| last.management_port),
                )?)
            } else {
                None
            },
            more_brokers: (2..=options.brokers)
                .map(|number| {
                    let last = last.as_ref().map(|last| last.more_brokers.iter());
                    let last = last.and_then(|mut nodes| nodes.find(|it| it.number == number));
                    Ok(Node {
                        number,
                        amqp_port: reserve(last.map(|last| last.amqp_port))?,
                        dist_port: reserve(last.map(|last| last.dist_port))?,
                    })
                })
                .collect::<Result<_, DevEnvError>>()?,
            password: match last {
                Some(last) => last.password,
                None => random_hex()?,
            },
        };
        let text =
            serde_json::to_string_pretty(&settings).map_err(|source| DevEnvError::Settings {
                path: folder.join(FILE),
                source,
            })?;
        files::write_secret(&folder.join(FILE), &text, None)?;
        Ok((settings, ports))
    }
}

/// 128 random bits as hex: a password, a cookie, a unique name.
pub(crate) fn random_hex() -> Result<String, DevEnvError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        files::io("read", Path::new("the system's random source"))(error.into())
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
