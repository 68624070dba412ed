//! `orderly payments`: asks the payment gateway for what orders want of it.

use std::time::Duration;

use orderly_payments::{PaymentsOptions, SandboxGateway, SandboxOptions};
use orderly_store::SessionProfile;
use tokio_util::sync::CancellationToken;

use super::{Process, Role, RoleFlags, broker, listen, store};
use crate::{
    config::{Settings, parse},
    exit::Exit,
    lifecycle::DRAIN_DELAY,
};

/// Run payments, with a sandbox in the place of a gateway
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Example:
  orderly payments --database-url postgres://… --amqp-url amqp://… --sandbox-decline-percent 5")]
pub(crate) struct PaymentsArgs {
    #[command(flatten)]
    flags: RoleFlags,
    #[command(flatten)]
    sandbox: SandboxFlags,
}

/// How the sandbox behaves.
#[allow(clippy::struct_field_names, reason = "fields are the names of flags")]
#[derive(Debug, clap::Args)]
pub(crate) struct SandboxFlags {
    /// How many of 100 payments are declined [env: ORDERLY_SANDBOX_DECLINE_PERCENT] [default: 0]
    #[arg(long, value_name = "PERCENT", help_heading = "Sandbox")]
    sandbox_decline_percent: Option<String>,
    /// How many of 100 refunds fail [env: ORDERLY_SANDBOX_REFUND_FAILURE_PERCENT] [default: 0]
    #[arg(long, value_name = "PERCENT", help_heading = "Sandbox")]
    sandbox_refund_failure_percent: Option<String>,
    /// How long it thinks, in milliseconds [env: ORDERLY_SANDBOX_DELAY_MS] [default: 0]
    #[arg(long, value_name = "MS", help_heading = "Sandbox")]
    sandbox_delay_ms: Option<String>,
}

impl SandboxFlags {
    pub(crate) fn look_up(&self, settings: &mut Settings) -> Option<SandboxOptions> {
        let mut number = |flag: &Option<String>, name, most| {
            settings.or_default(flag.as_ref(), name, 0, parse::whole(0, most))
        };
        let decline = number(
            &self.sandbox_decline_percent,
            "ORDERLY_SANDBOX_DECLINE_PERCENT",
            parse::PERCENT,
        );
        let failure = number(
            &self.sandbox_refund_failure_percent,
            "ORDERLY_SANDBOX_REFUND_FAILURE_PERCENT",
            parse::PERCENT,
        );
        let delay = number(
            &self.sandbox_delay_ms,
            "ORDERLY_SANDBOX_DELAY_MS",
            parse::LONGEST_DELAY_MS,
        );
        Some(SandboxOptions {
            decline_percent: u8::try_from(decline?).ok()?,
            refund_failure_percent: u8::try_from(failure?).ok()?,
            delay: Duration::from_millis(delay?),
            authorize_first: false,
        })
    }
}

/// Only the layout is read.
const MAX_CONNECTIONS: u32 = 2;

pub(crate) async fn run(args: PaymentsArgs) -> anyhow::Result<Exit> {
    let mut settings = Settings::for_role();
    let config = args.flags.look_up(&mut settings, Role::Payments);
    let sandbox = args.sandbox.look_up(&mut settings);
    let (config, sandbox) = settings.finish(|| Some((config?, sandbox?)))?;
    let process = Process::start(config.logging)?;
    let listener = listen(config.http_addr).await?;
    start(&process, &config.database_url, &config.amqp_url, sandbox)?;
    process.serve_probes(listener);
    process.lifecycle.supervise(DRAIN_DELAY).await?;
    Ok(Exit::Ok)
}

/// Starts the role in this process.
pub(crate) fn start(
    process: &Process,
    database_url: &str,
    amqp_url: &str,
    sandbox: SandboxOptions,
) -> anyhow::Result<()> {
    let lifecycle = &process.lifecycle;
    let store = store(
        database_url,
        Role::Payments,
        SessionProfile::General,
        MAX_CONNECTIONS,
    )?;
    let broker = broker(amqp_url, Role::Payments);
    // Outlives the role: what is being recorded gets its confirm.
    let publishing = CancellationToken::new();
    let commands = process.command_publisher(&store, broker.clone(), &publishing);
    let options = PaymentsOptions {
        broker,
        commands,
        gateway: SandboxGateway::new(sandbox),
    };
    let check = lifecycle.readiness().check("payments");
    let token = lifecycle.token().clone();
    lifecycle.run("payments", async move {
        orderly_payments::run(options, check, token).await;
        publishing.cancel();
        Ok(())
    });
    Ok(())
}
