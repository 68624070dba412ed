//! `orderly dashboard`: reads, status events, stock.

use axum::Router;
use orderly_dashboard::{DashboardState, EventHub};
use orderly_http::Keyring;
use orderly_store::{SessionProfile, Store};
use tokio_util::sync::CancellationToken;

use super::{Process, Role, RoleFlags, broker, listen, store};
use crate::{config::Settings, exit::Exit, lifecycle::DRAIN_DELAY};

/// Run a dashboard: it serves orders, live status events and stock over HTTP
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:\n  orderly dashboard --database-url postgres://… --amqp-url amqp://… --http-addr 0.0.0.0:8081"
)]
pub(crate) struct DashboardArgs {
    #[command(flatten)]
    flags: RoleFlags,
}

/// The part of new API keys that tells them from those of `orderly dev`.
const LIVE: &str = "live";
/// Reads by primary key and short stock writes.
const MAX_CONNECTIONS: u32 = 8;

pub(crate) async fn run(args: DashboardArgs) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_role();
    let config = args.flags.look_up(&mut settings, Role::Dashboard);
    let config = settings.finish(|| config)?;
    let process = Process::start(config.logging)?;
    let listener = listen(config.http_addr).await?;
    let store = store(
        &config.database_url,
        Role::Dashboard,
        SessionProfile::General,
        MAX_CONNECTIONS,
    )?;
    let keyring = process.keyring(&store);
    let routes = routes(&process, &store, &keyring, &config.amqp_url, LIVE);
    process.serve(
        "dashboard",
        listener,
        routes.merge(process.probes()),
        CancellationToken::new(),
    );
    process.lifecycle.supervise(DRAIN_DELAY).await?;
    Ok(Exit::Ok)
}

/// Starts the role in this process.
pub(crate) fn routes(
    process: &Process,
    store: &Store,
    keyring: &Keyring,
    amqp_url: &str,
    key_environment: &str,
) -> Router {
    let lifecycle = &process.lifecycle;
    let check = lifecycle.readiness().check("events");
    let broker = broker(amqp_url, Role::Dashboard);
    let events = EventHub::start(
        broker,
        check,
        lifecycle.tracker().clone(),
        lifecycle.token().clone(),
    );
    orderly_dashboard::router(DashboardState {
        store: store.clone(),
        keyring: keyring.clone(),
        events,
        key_environment: key_environment.to_owned(),
    })
}
