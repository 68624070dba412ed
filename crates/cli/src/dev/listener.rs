//! Where `orderly dev` listens.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use crate::role;

const FIRST_PORT: u16 = 8080;
/// Twenty of them beside each other is a mistake.
const LAST_PORT: u16 = 8099;

/// The address that was asked for, or the first free one of a few: a second `orderly dev` beside another should start.
pub(super) async fn open(asked: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = asked {
        return role::listen(address).await;
    }
    for port in FIRST_PORT..=LAST_PORT {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => {
                if port != FIRST_PORT {
                    eprintln!("port {FIRST_PORT} is taken; listening on {port}");
                }
                return Ok(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("listen on port {port}")),
        }
    }
    bail!("every port from {FIRST_PORT} to {LAST_PORT} is taken; choose one with --http-addr")
}
