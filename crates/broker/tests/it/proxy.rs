//! A TCP proxy in front of the broker that can cut its connections or let them go silent (half-open).

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;

/// See the module. Dropping it cuts everything.
pub(crate) struct Proxy {
    url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Of the connections since the last cut.
    cut: Mutex<CancellationToken>,
    silent: AtomicBool,
    stopped: CancellationToken,
}

impl Proxy {
    pub(crate) async fn start(broker: &Broker) -> Self {
        let (credentials, rest) = broker.url().rsplit_once('@').unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{credentials}@{}/{path}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        tokio::spawn(accept(listener, address.to_owned(), Arc::clone(&state)));
        Self { url, state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends every connection; new ones are accepted.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.state.cut.lock().unwrap()).cancel();
    }

    /// From now on neither side hears from the other, and neither is told.
    pub(crate) fn silence(&self) {
        self.state.silent.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stopped.cancel();
        self.cut();
    }
}

async fn accept(listener: TcpListener, upstream: String, state: Arc<State>) {
    loop {
        let client = tokio::select! {
            () = state.stopped.cancelled() => return,
            accepted = listener.accept() => accepted.unwrap().0,
        };
        let Ok(server) = TcpStream::connect(&upstream).await else {
            continue;
        };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        let cut = state.cut.lock().unwrap().clone();
        tokio::spawn(forward(
            client_read,
            server_write,
            Arc::clone(&state),
            cut.clone(),
        ));
        tokio::spawn(forward(server_read, client_write, Arc::clone(&state), cut));
    }
}

/// Forwards one direction until either end goes or a cut comes, which ends the other direction too.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: Arc<State>,
    cut: CancellationToken,
) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = tokio::select! {
            () = cut.cancelled() => return,
            read = from.read(&mut buffer) => read,
        };
        match read {
            Ok(bytes) if bytes > 0 => {
                let silent = state.silent.load(Ordering::SeqCst);
                if !silent && to.write_all(&buffer[..bytes]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}
