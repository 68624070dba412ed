//! A TCP proxy in front of the broker that can cut its connections or let them go silent (half-open).

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
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
    /// Connections that the client holds open.
    open: AtomicUsize,
    /// What the client sent, by connection.
    sent: Mutex<Vec<Vec<u8>>>,
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

    /// How many connections the client holds open.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// The methods that the client sent, as class and number (AMQP 0.9.1, section 1.3), connection by connection.
    pub(crate) fn methods(&self) -> Vec<(u16, u16)> {
        self.state
            .sent
            .lock()
            .unwrap()
            .iter()
            .flat_map(|sent| methods(sent))
            .collect()
    }

    /// How many messages the client published.
    pub(crate) fn publishes(&self) -> usize {
        const BASIC_PUBLISH: (u16, u16) = (60, 40);
        self.methods()
            .iter()
            .filter(|method| **method == BASIC_PUBLISH)
            .count()
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
        let number = {
            let mut sent = state.sent.lock().unwrap();
            sent.push(Vec::new());
            sent.len() - 1
        };
        state.open.fetch_add(1, Ordering::SeqCst);
        let up = forward(
            client_read,
            server_write,
            Arc::clone(&state),
            cut.clone(),
            Some(number),
        );
        let down = forward(server_read, client_write, Arc::clone(&state), cut, None);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            up.await;
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
        tokio::spawn(down);
    }
}

/// Forwards one direction until either end goes or a cut comes, which ends the other direction too.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: Arc<State>,
    cut: CancellationToken,
    record: Option<usize>,
) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = tokio::select! {
            () = cut.cancelled() => return,
            read = from.read(&mut buffer) => read,
        };
        match read {
            Ok(bytes) if bytes > 0 => {
                if let Some(number) = record {
                    state.sent.lock().unwrap()[number].extend_from_slice(&buffer[..bytes]);
                }
                let silent = state.silent.load(Ordering::SeqCst);
                if !silent && to.write_all(&buffer[..bytes]).await.is_err() {
                    return;
                }
            }
            _ => {
                if record.is_none() && state.silent.load(Ordering::SeqCst) {
                    // That the broker has hung up is not told either.
                    cut.cancelled().await;
                }
                return;
            }
        }
    }
}

/// The method frames among what a client sent: a type, a channel, a size, then class and method.
fn methods(sent: &[u8]) -> Vec<(u16, u16)> {
    const HEADER: usize = 7;
    let mut methods = Vec::new();
    let mut rest = sent.get(b"AMQP0091".len()..).unwrap_or_default();
    while rest.len() > HEADER + 4 {
        let size = u32::from_be_bytes(rest[3..HEADER].try_into().unwrap()) as usize;
        if rest[0] == 1 {
            let field = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
            methods.push((field(HEADER), field(HEADER + 2)));
        }
        rest = rest.get(HEADER + size + 1..).unwrap_or_default();
    }
    methods
}
