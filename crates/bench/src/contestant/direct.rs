//! The direct way at its strongest: one HTTP request is one transaction on its order, with the same domain, tables and
//! idempotence, in two pipelined round trips. A process of its own.

mod server;
mod transaction;

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};
use orderly_domain::ProducerId;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::load::Caller;
use crate::procfs::Group;

pub(crate) use server::{DirectArgs, serve};

/// The one producer: this server knows no keys.
const PRODUCER: ProducerId = ProducerId(Uuid::from_u128(0x00d1_2ec7));

/// The server, running. Ends with this value.
pub(crate) struct Direct {
    pub(crate) address: SocketAddr,
    pub(crate) database_url: String,
    child: Child,
}

impl Direct {
    pub(crate) async fn start(database_url: String) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["direct", "--database-url", &database_url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the direct way")?;
        let stdout = child.stdout.take().context("its output is not piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = lines.next_line().await?.context("the direct way ended")?;
        Ok(Self {
            address: line.parse().context("it printed no address")?,
            database_url,
            child,
        })
    }

    pub(crate) fn group(&self) -> Option<Group> {
        Some(Group {
            name: "direct".to_owned(),
            root: self.child.id()?,
            with_descendants: false,
        })
    }

    pub(crate) fn caller() -> Caller {
        Caller {
            // As long as a key of Orderly: requests have the same size for every contestant.
            token: format!("ord_live_{}_{}", "0123456789ab", "x".repeat(38)),
            producer: PRODUCER,
            wait: false,
        }
    }
}
