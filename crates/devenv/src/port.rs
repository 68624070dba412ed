//! Free ports on the loopback address, reserved against other starters on this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::error::DevEnvError;

/// Below 32768, where Linux takes the source ports of outgoing connections: a client that reconnects to a stopped
/// server in that range can be given the server's own port and connect to itself, and the server cannot start again.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// A port that no other starter takes while this value lives.
///
/// The reservation is an abstract socket name: like the port it belongs to the network namespace, and the kernel
/// frees it however the process ends. It also holds while the server itself is down.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reservation: UnixListener,
}

impl Port {
    /// Reserves `wanted` if it is free, else any free port.
    ///
    /// # Errors
    /// When none is free.
    pub fn reserve(wanted: Option<u16>) -> Result<Self, DevEnvError> {
        if let Some(port) = wanted.and_then(Self::try_reserve) {
            return Ok(port);
        }
        let count = u32::from(LAST - FIRST) + 1;
        // A random beginning keeps concurrent starters out of each other's way.
        let beginning = getrandom::u32().unwrap_or(std::process::id()) % count;
        (0..count)
            .map(|step| (beginning + step) % count)
            .find_map(|offset| Self::try_reserve(FIRST + u16::try_from(offset).ok()?))
            .ok_or(DevEnvError::NoPort {
                first: FIRST,
                last: LAST,
            })
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    fn try_reserve(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("orderly-devenv-port-{number}")).ok()?;
        let reservation = UnixListener::bind_addr(&name).ok()?;
        // Somebody who does not know our reservations may listen there.
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self {
            number,
            _reservation: reservation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_port_is_not_given_twice() {
        let first = Port::reserve(None).unwrap();
        let second = Port::reserve(Some(first.number())).unwrap();
        assert_ne!(first.number(), second.number());
        assert!(second.number() < 32_768);
    }

    #[test]
    fn released_port_is_given_again() {
        let number = Port::reserve(None).unwrap().number();
        assert_eq!(Port::reserve(Some(number)).unwrap().number(), number);
    }

    #[test]
    fn port_in_use_is_not_given() {
        let port = Port::reserve(None).unwrap();
        let number = port.number();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        drop(port);
        assert_ne!(Port::reserve(Some(number)).unwrap().number(), number);
        drop(listener);
    }
}
