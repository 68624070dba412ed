//! Requests that wait for the outcome of their command, by command id. Knows nothing of where replies come from.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use orderly_domain::CommandId;
use orderly_protocol::Reply;
use tokio::sync::oneshot;

/// Requests that may wait at a time. As many as the connections of two listeners; beyond, an answer comes without a wait.
const WAITERS: usize = 8_192;

/// All waiting requests of this process. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters {
    registry: Arc<Mutex<Registry>>,
}

#[derive(Debug, Default)]
struct Registry {
    next_ticket: u64,
    len: usize,
    /// Several requests may wait for one command: a client that sends it again while it still waits.
    by_command: HashMap<CommandId, Vec<(u64, oneshot::Sender<Reply>)>>,
}

/// One waiting request. Leaves the registry when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    waiters: Waiters,
    command_id: CommandId,
    ticket: u64,
    reply: oneshot::Receiver<Reply>,
}

impl Waiters {
    /// Registers interest in `command_id`: do it before the command is published, since the reply may come before the
    /// confirm. `None` if too many wait already.
    pub(crate) fn register(&self, command_id: CommandId) -> Option<Waiter> {
        let (sender, reply) = oneshot::channel();
        let ticket = self.with(|registry| {
            if registry.len >= WAITERS {
                return None;
            }
            registry.len += 1;
            registry.next_ticket += 1;
            let ticket = registry.next_ticket;
            registry
                .by_command
                .entry(command_id)
                .or_default()
                .push((ticket, sender));
            Some(ticket)
        })?;
        Some(Waiter {
            waiters: self.clone(),
            command_id,
            ticket,
            reply,
        })
    }

    /// Hands `reply` to whoever waits for its command. Nobody is no fault: replies are repeated and waits run out.
    pub(crate) fn answer(&self, reply: &Reply) {
        let waiting = self.with(|registry| {
            let waiting = registry
                .by_command
                .remove(&reply.command_id)
                .unwrap_or_default();
            registry.len -= waiting.len();
            waiting
        });
        for (_, sender) in waiting {
            // Err: the request went away a moment ago.
            drop(sender.send(reply.clone()));
        }
    }

    fn leave(&self, command_id: CommandId, ticket: u64) {
        self.with(|registry| {
            let Entry::Occupied(mut waiting) = registry.by_command.entry(command_id) else {
                return;
            };
            let before = waiting.get().len();
            waiting.get_mut().retain(|(other, _)| *other != ticket);
            registry.len -= before - waiting.get().len();
            if waiting.get().is_empty() {
                waiting.remove();
            }
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut Registry) -> T) -> T {
        f(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Waiter {
    /// The reply; waits for it. Cancel safe.
    pub(crate) async fn reply(&mut self) -> Reply {
        match (&mut self.reply).await {
            Ok(reply) => reply,
            // The sender is only ever dropped by sending or by our own drop.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether the reply is here already.
    pub(crate) fn has_reply(&self) -> bool {
        !self.reply.is_empty()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.leave(self.command_id, self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use orderly_domain::{OrderId, Version};
    use orderly_protocol::{Fingerprint, Outcome};
    use uuid::Uuid;

    use super::*;

    fn reply(command: u128) -> Reply {
        Reply {
            command_id: CommandId(Uuid::from_u128(command)),
            fingerprint: Fingerprint([7; 32]),
            outcome: Outcome::Applied,
            code: None,
            order_id: OrderId(Uuid::from_u128(1)),
            version: Version(1),
        }
    }

    #[tokio::test]
    async fn a_reply_reaches_all_who_wait_for_its_command() {
        let waiters = Waiters::default();
        let command = |id| CommandId(Uuid::from_u128(id));
        let mut first = waiters.register(command(1)).unwrap();
        let mut second = waiters.register(command(1)).unwrap();
        let other = waiters.register(command(2)).unwrap();
        waiters.answer(&reply(1));
        assert!(first.has_reply() && second.has_reply() && !other.has_reply());
        assert_eq!(
            (first.reply().await, second.reply().await),
            (reply(1), reply(1))
        );
        waiters.answer(&reply(3));
    }

    #[test]
    fn who_left_or_was_answered_takes_no_room() {
        let waiters = Waiters::default();
        let answered = waiters.register(CommandId(Uuid::from_u128(1))).unwrap();
        waiters.answer(&reply(1));
        drop(answered);
        let stays = waiters.register(CommandId(Uuid::from_u128(2))).unwrap();
        drop(waiters.register(CommandId(Uuid::from_u128(2))).unwrap());
        assert_eq!(
            waiters.with(|registry| (registry.len, registry.by_command.len())),
            (1, 1)
        );
        drop(stays);
        assert_eq!(
            waiters.with(|registry| (registry.len, registry.by_command.len())),
            (0, 0)
        );
    }

    #[test]
    fn waiters_are_bounded() {
        let waiters = Waiters::default();
        let all: Vec<_> = (0..WAITERS)
            .map(|_| waiters.register(CommandId(Uuid::nil())).unwrap())
            .collect();
        assert!(waiters.register(CommandId(Uuid::nil())).is_none());
        drop(all);
        assert!(waiters.register(CommandId(Uuid::nil())).is_some());
    }
}
