//! `orderly ingress`: accepts commands.

use axum::Router;
use orderly_http::Keyring;
use orderly_ingress::{Ingress, IngressOptions};
use orderly_store::{SessionProfile, Store};
use tokio_util::sync::CancellationToken;

use super::{Process, Role, RoleFlags, broker, instance, listen, store};
use crate::{config::Settings, exit::Exit, lifecycle::DRAIN_DELAY};

/// Run an ingress: it accepts commands over HTTP and tells what became of them
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:\n  orderly ingress --database-url postgres://… --amqp-url amqp://… --http-addr 0.0.0.0:8080"
)]
pub(crate) struct IngressArgs {
    #[command(flatten)]
    flags: RoleFlags,
}

/// Outcomes and keys are read by primary key, in well under a millisecond each.
const MAX_CONNECTIONS: u32 = 8;

pub(crate) async fn run(args: IngressArgs) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_role();
    let config = args.flags.look_up(&mut settings, Role::Ingress);
    let config = settings.finish(|| config)?;
    let process = Process::start(config.logging)?;
    let listener = listen(config.http_addr).await?;
    let store = store(
        &config.database_url,
        Role::Ingress,
        SessionProfile::General,
        MAX_CONNECTIONS,
    )?;
    let keyring = process.keyring(&store);
    let served = CancellationToken::new();
    let routes = routes(&process, &store, &keyring, &config.amqp_url, &served);
    process.serve("ingress", listener, routes.merge(process.probes()), served);
    process.lifecycle.supervise(DRAIN_DELAY).await?;
    Ok(Exit::Ok)
}

/// Starts the role in this process. Its publisher ends with `served`.
pub(crate) fn routes(
    process: &Process,
    store: &Store,
    keyring: &Keyring,
    amqp_url: &str,
    served: &CancellationToken,
) -> Router {
    let lifecycle = &process.lifecycle;
    let broker = broker(amqp_url, Role::Ingress);
    let options = IngressOptions {
        store: store.clone(),
        publisher: process.command_publisher(store, broker.clone(), served),
        broker,
        keyring: keyring.clone(),
        readiness: lifecycle.readiness().clone(),
        instance: instance(Role::Ingress),
    };
    Ingress::start(options, lifecycle.tracker(), lifecycle.token()).router()
}
