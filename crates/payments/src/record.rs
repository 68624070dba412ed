//! Sends what the gateway said as a command, by the rules of the ingress. Owns ids and retries of these commands.

use std::time::Duration;

use orderly_broker::{CommandPublisher, PublishError};
use orderly_domain::{Action, OrderId};
use orderly_protocol::ids::{PAYMENTS_PRODUCER, command_id};
use orderly_protocol::time::OffsetDateTime;
use orderly_protocol::{Envelope, action_data, fingerprint, serde_json};

use crate::GatewayEvent;

/// Pauses before a command is published again: 3 s together, the time of a leader change or a dropped connection. What
/// lasts longer ends the session, since a delivery is not held for long.
const RETRY_PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
];

/// Publishes the command of a gateway event until it is stored. The id is the event's, so a second one has no effect.
pub(crate) async fn record(
    commands: &CommandPublisher,
    order_id: OrderId,
    event: &GatewayEvent,
    traceparent: Option<&str>,
) -> Result<(), PublishError> {
    let envelope = envelope(order_id, event, traceparent, OffsetDateTime::now_utc()).encode();
    let mut pauses = RETRY_PAUSES.iter();
    loop {
        let error = match commands.publish(order_id, envelope.clone()).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let Some(pause) = pauses.next() else {
            return Err(error);
        };
        tracing::debug!(error = %error, order.id = %order_id, "command of a gateway event not stored, again");
        tokio::time::sleep(*pause).await;
    }
}

fn envelope(
    order_id: OrderId,
    event: &GatewayEvent,
    traceparent: Option<&str>,
    accepted_at: OffsetDateTime,
) -> Envelope {
    let action: Action = event.action();
    let data = action_data(&action);
    Envelope {
        command_id: command_id(PAYMENTS_PRODUCER, &event.gateway_event_id),
        order_id,
        action_type: action.name().to_owned(),
        fingerprint: fingerprint(action.name(), Some(order_id), &data, None),
        data: serde_json::value::to_raw_value(&data).expect("a JSON value is JSON"),
        expected_version: None,
        producer: PAYMENTS_PRODUCER,
        idempotency_key: Some(event.gateway_event_id.clone()),
        accepted_at,
        traceparent: traceparent.map(str::to_owned),
        reply_to: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orderly_domain::{OrderId, PaymentId, PaymentResult, RecordPayment};
    use orderly_protocol::time::OffsetDateTime;
    use uuid::Uuid;

    use super::envelope;
    use crate::{GatewayEvent, GatewayEventKind};

    #[test]
    fn the_same_gateway_event_is_the_same_command_at_any_time() {
        let payment_id = PaymentId(Uuid::from_u128(1));
        let event = GatewayEvent {
            gateway_event_id: "sandbox/1/captured".into(),
            kind: GatewayEventKind::Payment(RecordPayment {
                payment_id,
                result: PaymentResult::Captured,
                amount_minor: 700,
                reference: "sandbox/1".into(),
            }),
        };
        let order_id = OrderId(Uuid::from_u128(2));
        let at = OffsetDateTime::UNIX_EPOCH;
        let first = envelope(order_id, &event, None, at);
        let again = envelope(order_id, &event, None, at + Duration::from_mins(1));
        assert_eq!(first.command_id, again.command_id);
        assert_eq!(first.fingerprint, again.fingerprint);
        let command = first.command().unwrap();
        assert_eq!(command.action, event.action());
        assert_eq!(command.order_id, order_id);
    }
}
