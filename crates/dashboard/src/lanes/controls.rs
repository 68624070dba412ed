//! Sends control commands: confirmed by the broker before anybody is told that they are accepted.

use orderly_broker::{CommandPublisher, PublishError};
use orderly_domain::{CommandId, OrderId};
use orderly_http::{Caller, IdempotencyKey, ProblemResponse};
use orderly_protocol::receipt::{self, Receipt};
use orderly_protocol::serde_json::json;
use orderly_protocol::{
    Control, ControlAct, ControlKind, Envelope, Problem, ProblemCode, Timestamp, ids,
};
use orderly_store::{Actor, AuditEntry, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::expiry;
use crate::failure::{database, internal};

/// Seconds after which a refused control command may be sent again, as for commands.
const RETRY_AFTER: u32 = 1;

/// The way of control commands to their shards. Cheap to clone.
#[derive(Clone)]
pub struct Controls {
    store: Store,
    publisher: CommandPublisher,
}

/// A control command that is durably stored.
pub(super) struct Sent {
    pub(super) envelope: Envelope,
    pub(super) receipt: String,
}

impl Controls {
    /// Sends by this publisher; until `token` is cancelled it also ends the pauses whose time is over, and keeps the metric of
    /// parked orders.
    #[must_use]
    pub fn start(
        store: Store,
        publisher: CommandPublisher,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> Self {
        let ending = expiry::watch(store.clone(), publisher.clone());
        tracker.spawn(async move {
            token.run_until_cancelled(ending).await;
        });
        Self { store, publisher }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Sends one; `about` tells those apart that one request gives under one key.
    pub(super) async fn send(
        &self,
        operator: (&Caller, &Actor),
        key: Option<&IdempotencyKey>,
        about: Option<CommandId>,
        order_id: OrderId,
        control: (String, ControlAct),
    ) -> Result<Sent, ProblemResponse> {
        let ((caller, actor), (reason, act)) = (operator, control);
        let command_id = match (key, about) {
            (None, _) => ids::mint_command_id(),
            (Some(key), None) => ids::command_id(caller.producer, key.as_str()),
            (Some(key), Some(about)) => {
                ids::command_id(caller.producer, &format!("{}/{about}", key.as_str()))
            }
        };
        let control = Control {
            by: caller.key_id.to_string(),
            reason,
            act,
        };
        let mut envelope =
            control.envelope(command_id, order_id, caller.producer, Timestamp::now_utc());
        envelope.idempotency_key = key.map(|key| key.as_str().to_owned());
        let receipt = self.sign(&envelope).await?;
        let published = self.publisher.publish(order_id, envelope.encode()).await;
        published.map_err(|error| refused(error, command_id))?;
        // Where the effect is elsewhere, the entry follows what was accepted; without it the answer asks for the same again.
        let action = match control.kind() {
            ControlKind::LaneRetry => "lane.retry",
            ControlKind::LaneSkip => "lane.skip",
            ControlKind::LaneEdit => "lane.edit",
            ControlKind::LaneDiscard => "lane.discard",
            ControlKind::OrderPause => "order.pause",
            ControlKind::OrderResume => "order.resume",
        };
        let actor = actor.clone().because(Some(control.reason.clone()));
        let entry = AuditEntry::new(&actor, action, format!("order/{order_id}"))
            .after(json!({"command_id": command_id.to_string()}));
        self.store.audit(&entry).await.map_err(database)?;
        tracing::info!(
            order.id = %order_id, command.id = %command_id, by = %control.by, reason = %control.reason,
            "{} is accepted", control.kind().as_str()
        );
        Ok(Sent { envelope, receipt })
    }

    /// Before the publish, as for commands: nothing is accepted that could not be answered for.
    async fn sign(&self, envelope: &Envelope) -> Result<String, ProblemResponse> {
        let keys = self.store.receipt_keys().await.map_err(database)?;
        let newest = keys.first().ok_or_else(internal)?;
        let receipt = Receipt {
            command_id: envelope.command_id,
            order_id: envelope.order_id,
            producer: envelope.producer,
            fingerprint: envelope.fingerprint,
            accepted_at: envelope.accepted_at,
        };
        Ok(receipt::sign(&receipt, newest))
    }
}

fn refused(error: PublishError, command_id: CommandId) -> ProblemResponse {
    let (code, detail) = match error {
        PublishError::ShardFull => (
            ProblemCode::ShardFull,
            "too many commands wait before it; it was not stored".to_owned(),
        ),
        PublishError::Unavailable | PublishError::Preceding => (
            ProblemCode::BrokerUnavailable,
            "the control command was not stored".to_owned(),
        ),
        PublishError::NoGeneration => (
            ProblemCode::NotReady,
            "no shards take commands now; it was not stored".to_owned(),
        ),
        PublishError::Unknown => (
            ProblemCode::OutcomeUnknown,
            format!(
                "the control command {command_id} may be stored or not; the same request again is safe, \
                 since it names the command that it acts on"
            ),
        ),
    };
    ProblemResponse::from(Problem::new(code, detail)).retry_after(RETRY_AFTER)
}
