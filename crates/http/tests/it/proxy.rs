//! A TCP proxy whose far side can go away, as a stopped server does: connections end and new ones lead nowhere.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// See the module. Ends with the test's runtime.
pub(crate) struct Proxy {
    url: String,
    away: Arc<watch::Sender<bool>>,
}

impl Proxy {
    /// A proxy for the server of `url`, which has the form `scheme://user:password@host:port/rest`.
    pub(crate) async fn start(url: &str) -> Self {
        let (credentials, rest) = url.rsplit_once('@').unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{credentials}@{}/{path}", listener.local_addr().unwrap());
        let away = Arc::new(watch::Sender::new(false));
        tokio::spawn(accept(listener, address.to_owned(), Arc::clone(&away)));
        Self { url, away }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }
}

async fn accept(listener: TcpListener, address: String, away: Arc<watch::Sender<bool>>) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let (address, mut cut) = (address.clone(), away.subscribe());
        tokio::spawn(async move {
            if *cut.borrow() {
                return;
            }
            let Ok(mut far) = TcpStream::connect(address).await else {
                return;
            };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                _ = cut.wait_for(|away| *away) => {}
            }
        });
    }
}
