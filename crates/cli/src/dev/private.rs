//! A whole Orderly for the length of one piece of work: as `orderly dev`, without its screen, and nothing of it is kept.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::pin,
};

use anyhow::bail;
use orderly_payments::SandboxOptions;
use orderly_worker::{Resizing, SkipUndecidable};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    DevConfig, key::DevKey, listener, prepare, ready, server::Servers, start_roles, start_servers,
};
use crate::{
    role::{self, Logging, Process},
    telemetry::{self, LogFormat},
};

/// Where the work finds it.
pub(crate) struct Place<'a> {
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) database_url: String,
    pub(crate) amqp_url: String,
    pub(crate) servers: &'a Servers,
}

/// What it is made of.
#[derive(Clone, Debug)]
pub(crate) struct Private {
    pub(crate) worker: Worker,
    /// Of one cluster.
    pub(crate) brokers: u16,
    pub(crate) sandbox: SandboxOptions,
}

impl Default for Private {
    fn default() -> Self {
        Self {
            worker: Worker::default(),
            brokers: 1,
            sandbox: SandboxOptions::default(),
        }
    }
}

/// Who applies the commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Worker {
    /// This process.
    #[default]
    Inside,
    /// Processes that the work starts, so that they can be killed.
    Brought,
}

/// What is wrong shows in the result; a slow moment is no news.
const LOG: &str = "error,lapin=off,sqlx=off";

/// Starts servers and roles, runs `work`, and ends and removes everything. A signal cancels the token that `work` is given; it
/// is then awaited. A second one ends the waiting.
pub(crate) async fn with_private<T>(
    private: Private,
    work: impl AsyncFnOnce(Place<'_>, &CancellationToken) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut process = Process::start(Logging {
        filter: telemetry::log_filter(LOG).expect("a default is a filter"),
        format: LogFormat::of_stderr(),
    })?;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = listener::open(Some(any_port)).await?;
    let config = DevConfig {
        data_dir: data_dir(),
        keep: false,
        demo: false,
        brokers: private.brokers,
        http_addr: None,
        given: None,
        sandbox: private.sandbox,
    };
    let servers = start_servers(&mut process.lifecycle, &config).await?;
    let options = (private.worker, config.sandbox);
    let result = Box::pin(serve(process, &servers, listener, options, work)).await;
    servers.stop().await;
    result
}

fn data_dir() -> PathBuf {
    std::env::temp_dir().join(format!("orderly-private-{}", Uuid::new_v4().simple()))
}

/// Everything between the start of the servers and their end.
async fn serve<T>(
    mut process: Process,
    servers: &Servers,
    listener: TcpListener,
    (worker, sandbox): (Worker, SandboxOptions),
    work: impl AsyncFnOnce(Place<'_>, &CancellationToken) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let url = format!("http://{}", listener.local_addr()?);
    let (database_url, amqp_url) = (servers.database_url(), servers.amqp_url()?);
    eprintln!("starting Orderly …");
    let preparing = Box::pin(prepare(&database_url, &amqp_url));
    let store = process.lifecycle.or_signal(preparing).await?;
    let key = DevKey::mint(&store).await?.token().to_owned();
    if worker == Worker::Inside {
        let resizing = Resizing {
            nodes: servers.amqp_nodes()?,
            ..Resizing::default()
        };
        let urls = (&*database_url, &*amqp_url);
        let policy = (resizing, SkipUndecidable::default());
        role::worker::start(&process, urls, None, policy)?;
    }
    start_roles(&process, &database_url, &amqp_url, listener, sandbox)?;
    let readiness = process.lifecycle.readiness().clone();
    let mut done = process
        .lifecycle
        .or_signal(ready(&readiness))
        .await
        .err()
        .map(Err);
    if done.is_none() {
        let place = Place {
            url,
            key,
            database_url,
            amqp_url,
            servers,
        };
        let token = CancellationToken::new();
        let work = work(place, &token);
        done =
            Some(until_signalled(work, &token, async || process.lifecycle.signalled().await).await);
    }
    let stopped = process.lifecycle.stop().await;
    store.close().await;
    let done = done.expect("either it was not ready, or the work was done")?;
    stopped.map(|()| done)
}

/// Runs `work` to its end. The first signal cancels `token` and leaves `work` the time to clean up, the second does not.
pub(crate) async fn until_signalled<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    token: &CancellationToken,
    mut signalled: impl AsyncFnMut(),
) -> anyhow::Result<T> {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = signalled() => {}
    }
    eprintln!("stopping; a second signal ends it at once");
    token.cancel();
    tokio::select! {
        done = work => done,
        () = signalled() => bail!("aborted by the second signal"),
    }
}
