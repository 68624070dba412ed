//! The way between one process and one server, with a hand on it: cut, delayed, slowed, or dead without a word.
//!
//! Owns a listener on the loopback address and everything that goes through it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A connection's end that nobody was told of: longer than any side's patience, so that each has to find out by itself.
const SILENCE: Duration = Duration::from_secs(40);
/// What is read at a time. A slow link comes by it in pieces.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks under way in one direction: enough that a delayed link is not a slow one.
const CHUNKS: usize = 64;

/// How a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quality {
    /// Connections end, and new ones with them.
    pub(super) is_cut: bool,
    /// What everything takes longer, in each direction.
    pub(super) delay: Duration,
    /// At the most; none: as fast as it goes.
    pub(super) bytes_per_second: Option<u32>,
    /// Connections up to this one are dead.
    silent_until: u64,
}

/// One link. Dropped, it is gone with all that goes over it.
pub struct Link {
    port: u16,
    quality: watch::Sender<Quality>,
    accepted: watch::Receiver<u64>,
    _end: DropGuard,
}

impl Link {
    /// A way to a port of this machine: the first of these that answers, beginning with another one each time.
    ///
    /// # Errors
    /// When this machine has no port left.
    pub async fn open(to: Vec<u16>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.context("open a link")?;
        let port = listener.local_addr().context("open a link")?.port();
        let quality = watch::Sender::new(Quality::default());
        let (count, accepted) = watch::channel(0);
        let end = CancellationToken::new();
        let accepting = accept(listener, to, quality.clone(), count);
        tokio::spawn(end.clone().run_until_cancelled_owned(accepting));
        Ok(Self {
            port,
            quality,
            accepted,
            _end: end.drop_guard(),
        })
    }

    /// Where to connect instead.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whatever it is for, it is now so for all that goes through.
    pub(super) fn set(&self, change: impl FnOnce(&mut Quality)) {
        self.quality.send_modify(change);
    }

    /// Nothing goes through any more on the connections that there are.
    pub(super) fn silence(&self) {
        let last = *self.accepted.borrow();
        self.set(|quality| quality.silent_until = last);
    }

    /// As if nothing had been.
    pub(super) fn mend(&self) {
        self.set(|quality| {
            *quality = Quality {
                silent_until: quality.silent_until,
                ..Quality::default()
            };
        });
    }
}

async fn accept(
    listener: TcpListener,
    to: Vec<u16>,
    quality: watch::Sender<Quality>,
    count: watch::Sender<u64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let number = *count.borrow() + 1;
        count.send_replace(number);
        let quality = quality.subscribe();
        let mut to = to.clone();
        let first = usize::try_from(number).unwrap_or_default() % to.len();
        to.rotate_left(first);
        tokio::spawn(async move {
            // A server that is away refuses; its client finds the connection closed.
            drop(connect(client, &to, number, quality).await);
        });
    }
}

async fn connect(
    mut client: TcpStream,
    to: &[u16],
    number: u64,
    mut quality: watch::Receiver<Quality>,
) -> io::Result<()> {
    if quality.borrow().is_cut {
        return Ok(());
    }
    let addresses: Vec<_> = to
        .iter()
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, *port)))
        .collect();
    let mut server = TcpStream::connect(&addresses[..]).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let is_silent = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = carry(from_client, to_server, quality.clone());
        let back = carry(from_server, to_client, quality.clone());
        let ends = |it: &Quality| it.is_cut || number <= it.silent_until;
        tokio::select! {
            _ = async { tokio::join!(there, back) } => false,
            // It is cut, or its owner is gone: both sides are told.
            ended = quality.wait_for(ends) => ended.is_ok_and(|it| !it.is_cut),
        }
    };
    if is_silent {
        sleep(SILENCE).await;
    }
    Ok(())
}

/// One direction, until its source ends.
async fn carry(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, quality: watch::Receiver<Quality>) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS);
    let reading = async {
        let sender = sender;
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            match from.read(&mut chunk).await {
                Ok(read) if read > 0 => chunk.truncate(read),
                _ => return,
            }
            let due = Instant::now() + quality.borrow().delay;
            if sender.send((due, chunk)).await.is_err() {
                return;
            }
        }
    };
    let writing = async {
        while let Some((due, chunk)) = receiver.recv().await {
            // Even a sleep of nothing waits for the timer's next tick.
            if due > Instant::now() {
                sleep_until(due).await;
            }
            let rate = quality.borrow().bytes_per_second;
            if let (Some(rate), Ok(bytes)) = (rate, u32::try_from(chunk.len())) {
                sleep(Duration::from_secs(1) * bytes / rate).await;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // The other side may be gone.
        to.shutdown().await.ok();
    };
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A server that says everything back, and a client that reaches it over a link.
    async fn linked() -> (Link, TcpStream) {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let ports = [&nobody, &server].map(|it| it.local_addr().unwrap().port());
        drop(nobody);
        let link = Link::open(ports.into()).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = client.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let client = connect_to(&link).await;
        (link, client)
    }

    async fn connect_to(link: &Link) -> TcpStream {
        TcpStream::connect(("127.0.0.1", link.port()))
            .await
            .unwrap()
    }

    async fn echo(client: &mut TcpStream, bytes: usize) -> io::Result<Duration> {
        let began = Instant::now();
        client.write_all(&vec![7; bytes]).await?;
        client.read_exact(&mut vec![0; bytes]).await?;
        Ok(began.elapsed())
    }

    #[tokio::test]
    async fn a_link_delays_and_slows_in_both_directions() {
        let (link, mut client) = linked().await;
        echo(&mut client, 100_000).await.unwrap();
        link.set(|it| it.delay = Duration::from_millis(100));
        assert!(echo(&mut client, 10).await.unwrap() >= Duration::from_millis(200));
        link.mend();
        link.set(|it| it.bytes_per_second = Some(10_000));
        assert!(echo(&mut client, 1_000).await.unwrap() >= Duration::from_millis(200));
    }

    #[tokio::test]
    async fn a_link_that_is_cut_ends_what_goes_over_it() {
        let (link, mut client) = linked().await;
        echo(&mut client, 10).await.unwrap();
        link.set(|it| it.is_cut = true);
        let mut byte = [0];
        let read = tokio::time::timeout(LIMIT, client.read(&mut byte)).await;
        assert!(matches!(read.unwrap(), Ok(0) | Err(_)));
        assert!(echo(&mut connect_to(&link).await, 10).await.is_err());
        link.mend();
        echo(&mut connect_to(&link).await, 10).await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_link_tells_nobody_and_takes_new_connections() {
        let (link, mut client) = linked().await;
        echo(&mut client, 10).await.unwrap();
        link.silence();
        let silence = Duration::from_millis(300);
        let answer = tokio::time::timeout(silence, echo(&mut client, 10)).await;
        assert!(answer.is_err(), "neither an answer nor an end");
        echo(&mut connect_to(&link).await, 10).await.unwrap();
    }
}
