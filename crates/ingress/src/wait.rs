//! Waiting for the outcome of an accepted command: by its reply, or by looking where none will come.

use std::time::Duration;

use orderly_protocol::{Outcome, Reply};

use crate::Ingress;
use crate::header::Wait;
use crate::standing::{DatabaseAway, Standing, look_up};
use crate::submission::Identity;
use crate::waiter::Waiter;

/// How often a wait that expects no reply looks: a few reads by primary key a second for each that waits.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Where the command stands when its outcome is known, the wait is over, or this process stops, whichever comes first.
pub(crate) async fn standing_within(
    ingress: &Ingress,
    identity: Identity,
    waiter: Option<Waiter>,
    wait: Wait,
) -> Standing {
    let decided = async {
        match waiter {
            Some(mut waiter) => from_reply(ingress, identity, waiter.reply().await).await,
            None => poll(ingress, identity).await,
        }
    };
    tokio::select! {
        standing = decided => standing,
        // The reply may have been lost, or the command parked.
        () = tokio::time::sleep(wait.duration()) => look(ingress, identity).await,
        () = ingress.stopping().cancelled() => look(ingress, identity).await,
    }
}

/// A reply says why a command was not applied by a code alone; the rest is in its record.
async fn from_reply(ingress: &Ingress, identity: Identity, reply: Reply) -> Standing {
    let ours = reply.fingerprint == identity.fingerprint;
    if ours
        && reply.outcome != Outcome::Applied
        && let recorded @ Standing::Decided(_) = look(ingress, identity).await
    {
        return recorded;
    }
    Standing::Decided(reply.into())
}

async fn poll(ingress: &Ingress, identity: Identity) -> Standing {
    loop {
        let standing = look(ingress, identity).await;
        if !matches!(standing, Standing::Queued) {
            return standing;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Without the database an accepted command is simply queued: that much is certain.
pub(crate) async fn look(ingress: &Ingress, identity: Identity) -> Standing {
    match look_up(ingress.store(), identity.command_id).await {
        Ok(record) => record.into(),
        Err(DatabaseAway) => Standing::Queued,
    }
}
