//! A TCP proxy whose far side can go away, as a stopped server does (connections end and new ones lead nowhere), or fall
//! silent, as a frozen one does.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Silent,
    Away,
}

/// See the module. Ends with the test's runtime.
pub(crate) struct Proxy {
    url: String,
    way: Arc<watch::Sender<Way>>,
}

impl Proxy {
    /// A proxy for the server of `url`, which has the form `scheme://user:password@host:port/rest`.
    pub(crate) async fn start(url: &str) -> Self {
        let (credentials, rest) = url.rsplit_once('@').unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{credentials}@{}/{path}", listener.local_addr().unwrap());
        let way = Arc::new(watch::Sender::new(Way::Open));
        tokio::spawn(accept(listener, address.to_owned(), Arc::clone(&way)));
        Self { url, way }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.way
            .send_replace(if away { Way::Away } else { Way::Open });
    }

    /// From now on neither side hears from the other, and neither is told.
    pub(crate) fn set_silent(&self) {
        self.way.send_replace(Way::Silent);
    }
}

async fn accept(listener: TcpListener, address: String, way: Arc<watch::Sender<Way>>) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let (address, mut cut) = (address.clone(), way.subscribe());
        tokio::spawn(async move {
            let Ok(mut far) = TcpStream::connect(address).await else {
                return;
            };
            tokio::select! {
                biased;
                _ = cut.wait_for(|way| *way != Way::Open) => {}
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
            }
            // Both ends stay open while it is silent.
            cut.wait_for(|way| *way == Way::Away)
                .await
                .map(drop)
                .unwrap_or_default();
        });
    }
}
