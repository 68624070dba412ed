//! Role payments: asks the gateway for what orders' events want of it, and sends what it says as commands.
//!
//! A process manager between the events and the shards: it holds no state, touches no order table, and what it sends goes
//! through the shards like everybody's commands. A delivery is acknowledged after its commands are stored; delivered
//! again, it makes the same commands under the same ids, so money moves once.

mod gateway;
mod order_chain;
mod record;
mod sandbox;
mod session;

use orderly_broker::{Backoff, BrokerConfig, CommandPublisher};
use orderly_http::Check;
use tokio_util::sync::CancellationToken;

pub use gateway::{GatewayEvent, GatewayEventKind, GatewayRequest};
pub use sandbox::{SandboxGateway, SandboxOptions};

/// What the role works with.
#[derive(Clone)]
pub struct PaymentsOptions {
    /// Holds the queue of payment events.
    pub broker: BrokerConfig,
    /// Sends the commands.
    pub commands: CommandPublisher,
    /// Answers the requests.
    pub gateway: SandboxGateway,
}

/// Works until `token` is cancelled. What is in hand then stays unacknowledged and is done by whoever comes next.
/// Whatever fails, it begins anew with what is unacknowledged.
pub async fn run(options: PaymentsOptions, ready: Check, token: CancellationToken) {
    let mut backoff = Backoff::default();
    while let Some(error) = session::run(&options, &ready, &mut backoff, &token)
        .await
        .err()
    {
        ready.not_ready(error.reason());
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "payments begin anew"
        );
        let pause = tokio::time::sleep(backoff.next_pause());
        if token.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}
