//! The TCP socket under a connection, held so that it can be cut. lapin can only be asked to close, which waits behind
//! everything it has queued, for ever on a blocked connection; and a connect that was given up keeps its IO thread.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, Mutex, PoisonError},
};

use lapin::{
    tcp::{AsyncTcpStream, OwnedTLSConfig},
    uri::{AMQPScheme, AMQPUri},
};
use tokio_util::sync::CancellationToken;

/// Handle on a socket; `cut` works once, whatever state the connection is in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Socket {
    cut: CancellationToken,
    tcp: Arc<Mutex<Option<TcpStream>>>,
}

impl Socket {
    /// Shuts the socket down in both directions: lapin's IO thread ends with an error, nothing that it has queued is
    /// sent later, and the broker requeues at once what this connection held. Does nothing the second time.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
        let tcp = self
            .tcp
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(error)) = tcp.map(|tcp| tcp.shutdown(Shutdown::Both)) {
            // The peer was faster: what was wanted is the case.
            tracing::debug!(%error, "socket was already down");
        }
    }

    /// Is the socket meant to be dead?
    fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    fn hold(&self, tcp: &impl AsFd) -> io::Result<()> {
        let tcp = TcpStream::from(tcp.as_fd().try_clone_to_owned()?);
        *self.tcp.lock().unwrap_or_else(PoisonError::into_inner) = Some(tcp);
        // `cut` may have come between the connect and here.
        if self.is_cut() {
            Err(abandoned())
        } else {
            Ok(())
        }
    }

    /// Connects and lets lapin speak over the connection, keeping a handle on its socket.
    pub(crate) async fn connect(
        &self,
        uri: AMQPUri,
        properties: lapin::ConnectionProperties,
    ) -> lapin::Result<lapin::Connection> {
        let socket = self.clone();
        let runtime = lapin::runtime::default_runtime()?;
        lapin::Connection::connector(
            uri,
            runtime,
            async move |uri: AMQPUri, runtime| {
                let connect = async {
                    let host = uri.authority.host.as_str();
                    let addresses = tokio::net::lookup_host((host, uri.authority.port)).await?;
                    let addresses: Vec<_> = addresses.collect();
                    let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                    if let AsyncTcpStream::Plain(tcp) = &stream {
                        socket.hold(tcp.get_ref())?;
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => {
                            stream
                                .into_tls(host, OwnedTLSConfig::default().as_ref())
                                .await
                        }
                    }
                };
                let connected = tokio::select! {
                    biased;
                    () = socket.cut.cancelled() => Err(abandoned()),
                    connected = connect => connected,
                };
                connected.map_err(lapin::Error::from)
            },
            properties,
        )
        .await
    }
}

fn abandoned() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the connection was given up",
    )
}
