//! `orderly dashboard`: the web page, reads, status events, stock.

use axum::Router;
use orderly_dashboard::{
    Controls, CookieSecurity, DashboardState, Depths, EventHub, Scaling, count_dead_letters,
};
use orderly_http::Keyring;
use orderly_store::{SessionProfile, Store};
use tokio_util::sync::CancellationToken;

use super::{Process, Role, RoleFlags, broker, listen, store};
use crate::{
    config::{Settings, parse},
    exit::Exit,
    lifecycle::DRAIN_DELAY,
};

/// Run a dashboard: it serves a web page, orders, live status events and stock over HTTP
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:\n  orderly dashboard --database-url postgres://… --amqp-url amqp://… --http-addr 0.0.0.0:8081"
)]
pub(crate) struct DashboardArgs {
    #[command(flatten)]
    flags: RoleFlags,
    /// Whether browsers send the cookie of a session over https only: auto (where the TLS proxy in front says, by
    /// X-Forwarded-Proto, that they came so) or always [env: ORDERLY_SESSION_COOKIE_SECURE] [default: auto]
    #[arg(long, value_name = "WHEN")]
    session_cookie_secure: Option<String>,
}

/// The part of new API keys that tells them from those of `orderly dev`.
const LIVE: &str = "live";
/// Reads by primary key and short stock writes.
const MAX_CONNECTIONS: u32 = 8;

pub(crate) async fn run(args: DashboardArgs) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_role();
    let config = args.flags.look_up(&mut settings, Role::Dashboard);
    let cookie_security = settings.or_default(
        args.session_cookie_secure.as_ref(),
        "ORDERLY_SESSION_COOKIE_SECURE",
        CookieSecurity::default(),
        parse::cookie_security,
    );
    let (config, cookie_security) = settings.finish(|| config.zip(cookie_security))?;
    let process = Process::start(config.logging)?;
    let listener = listen(config.http_addr).await?;
    let store = store(
        &config.database_url,
        Role::Dashboard,
        SessionProfile::General,
        MAX_CONNECTIONS,
    )?;
    let keyring = process.keyring(&store);
    let options = Options {
        amqp_url: &config.amqp_url,
        key_environment: LIVE,
        cookie_security,
    };
    let served = CancellationToken::new();
    let routes = routes(&process, &store, &keyring, &options, &served);
    process.serve(
        "dashboard",
        listener,
        routes.merge(process.probes()),
        served,
    );
    process.lifecycle.supervise(DRAIN_DELAY).await?;
    Ok(Exit::Ok)
}

/// What differs from process to process.
pub(crate) struct Options<'a> {
    pub(crate) amqp_url: &'a str,
    /// The part of new API keys that says where they belong.
    pub(crate) key_environment: &'a str,
    pub(crate) cookie_security: CookieSecurity,
}

/// Starts the role in this process. `served` is cancelled when no request is in flight any more; its publishers end with that.
pub(crate) fn routes(
    process: &Process,
    store: &Store,
    keyring: &Keyring,
    options: &Options<'_>,
    served: &CancellationToken,
) -> Router {
    let lifecycle = &process.lifecycle;
    let check = lifecycle.readiness().check("events");
    let broker = broker(options.amqp_url, Role::Dashboard);
    let (tracker, token) = (lifecycle.tracker(), lifecycle.token().clone());
    tracker.spawn(count_dead_letters(store.clone(), token.clone()));
    let publisher = process.command_publisher(store, broker.clone(), served);
    let depths = Depths::start(broker.clone(), tracker, token.clone());
    let scaling = Scaling::start(store.clone(), depths.clone(), tracker, token);
    let events = EventHub::start(
        broker,
        check,
        lifecycle.tracker().clone(),
        lifecycle.token().clone(),
    );
    let controls = Controls::start(
        store.clone(),
        publisher.clone(),
        tracker,
        lifecycle.token().clone(),
    );
    orderly_dashboard::router(DashboardState {
        store: store.clone(),
        keyring: keyring.clone(),
        events,
        publisher,
        depths,
        controls,
        scaling,
        key_environment: options.key_environment.to_owned(),
        cookie_security: options.cookie_security,
    })
}
