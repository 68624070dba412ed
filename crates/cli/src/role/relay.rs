//! `orderly relay`: copies status events to the topic exchange.

use orderly_relay::RelayOptions;
use orderly_store::SessionProfile;

use super::{Process, Role, RoleFlags, broker, listen, store};
use crate::{config::Settings, exit::Exit, lifecycle::DRAIN_DELAY};

/// Run a relay: it copies every status event to the topic exchange orders.events
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:\n  orderly relay --database-url postgres://… --amqp-url amqp://…"
)]
pub(crate) struct RelayArgs {
    #[command(flatten)]
    flags: RoleFlags,
}

/// One for its offset, one spare.
const MAX_CONNECTIONS: u32 = 2;

pub(crate) async fn run(args: RelayArgs) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_role();
    let config = args.flags.look_up(&mut settings, Role::Relay);
    let config = settings.finish(|| config)?;
    let process = Process::start(config.logging)?;
    let listener = listen(config.http_addr).await?;
    start(&process, &config.database_url, &config.amqp_url)?;
    process.serve_probes(listener);
    process.lifecycle.supervise(DRAIN_DELAY).await?;
    Ok(Exit::Ok)
}

/// Starts the role in this process.
pub(crate) fn start(process: &Process, database_url: &str, amqp_url: &str) -> anyhow::Result<()> {
    let lifecycle = &process.lifecycle;
    let store = store(
        database_url,
        Role::Relay,
        SessionProfile::General,
        MAX_CONNECTIONS,
    )?;
    let options = RelayOptions {
        store,
        broker: broker(amqp_url, Role::Relay),
    };
    let check = lifecycle.readiness().check("relay");
    let token = lifecycle.token().clone();
    lifecycle.run("relay", async move {
        orderly_relay::run(options, check, token).await;
        Ok(())
    });
    Ok(())
}
