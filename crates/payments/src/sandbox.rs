//! A gateway without money. Every answer derives from the ids asked about, so that a request delivered again gets the
//! same answer under the same event id, in any process. Must not keep state.

use std::time::Duration;

use orderly_domain::{
    PaymentId, PaymentResult, RecordPayment, RecordRefund, RefundId, RefundResult,
};
use uuid::Uuid;

use crate::{GatewayEvent, GatewayEventKind, GatewayRequest};

/// How the sandbox behaves.
#[derive(Clone, Debug, Default)]
pub struct SandboxOptions {
    /// How many of 100 payments are declined.
    pub decline_percent: u8,
    /// How many of 100 refunds fail.
    pub refund_failure_percent: u8,
    /// How long it thinks: each request between half and one and a half times this, fixed by its id.
    pub delay: Duration,
    /// Whether a payment is authorized before it is captured, as card gateways do; otherwise it is captured at once.
    pub authorize_first: bool,
}

/// The sandbox.
#[derive(Clone, Debug)]
pub struct SandboxGateway {
    options: SandboxOptions,
}

impl SandboxGateway {
    /// A sandbox that behaves so.
    #[must_use]
    pub fn new(options: SandboxOptions) -> Self {
        Self { options }
    }

    /// Does what is asked and says what happened, in the order in which it happened.
    ///
    /// Cancellation safe: a request given up and asked again gets the same answer.
    pub async fn execute(&self, request: &GatewayRequest) -> Vec<GatewayEvent> {
        let id = match request {
            GatewayRequest::Charge { payment_id, .. } | GatewayRequest::Void { payment_id } => {
                payment_id.0
            }
            GatewayRequest::Refund { refund_id, .. } => refund_id.0,
        };
        let delay = self.delay(id);
        // Even a sleep of nothing waits for the timer's next tick.
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match request {
            GatewayRequest::Charge {
                payment_id,
                amount_minor,
                ..
            } => self.charge(*payment_id, *amount_minor),
            // What is captured at once has nothing left to let go of.
            GatewayRequest::Void { .. } => Vec::new(),
            GatewayRequest::Refund { refund_id, .. } => vec![self.refund(*refund_id)],
        }
    }

    fn charge(&self, payment_id: PaymentId, amount_minor: i64) -> Vec<GatewayEvent> {
        let said = |result, step: &str| GatewayEvent {
            gateway_event_id: format!("sandbox/{payment_id}/{step}"),
            kind: GatewayEventKind::Payment(RecordPayment {
                payment_id,
                result,
                amount_minor,
                reference: format!("sandbox/{payment_id}"),
            }),
        };
        if draw(payment_id.0, b"decline", 100) < u64::from(self.options.decline_percent) {
            return vec![said(PaymentResult::Declined, "declined")];
        }
        let captured = said(PaymentResult::Captured, "captured");
        if self.options.authorize_first {
            vec![said(PaymentResult::Authorized, "authorized"), captured]
        } else {
            vec![captured]
        }
    }

    fn refund(&self, refund_id: RefundId) -> GatewayEvent {
        let fails =
            draw(refund_id.0, b"refund", 100) < u64::from(self.options.refund_failure_percent);
        let (result, step) = if fails {
            (RefundResult::Failed, "failed")
        } else {
            (RefundResult::Refunded, "refunded")
        };
        GatewayEvent {
            gateway_event_id: format!("sandbox/{refund_id}/{step}"),
            kind: GatewayEventKind::Refund(RecordRefund { refund_id, result }),
        }
    }

    fn delay(&self, id: Uuid) -> Duration {
        let percent = 50 + draw(id, b"delay", 101);
        self.options.delay * u32::try_from(percent).expect("at most 150") / 100
    }
}

/// A number below `sides` that depends on the id and the purpose alone. A v5 UUID is SHA-1: evenly spread, and at hand.
fn draw(id: Uuid, purpose: &[u8], sides: u64) -> u64 {
    Uuid::new_v5(&id, purpose).as_u64_pair().1 % sides
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orderly_domain::{PaymentId, PaymentResult, RefundId, RefundResult};
    use uuid::Uuid;

    use super::{SandboxGateway, SandboxOptions};
    use crate::{GatewayEvent, GatewayEventKind, GatewayRequest};

    fn charge(n: u128) -> GatewayRequest {
        GatewayRequest::Charge {
            payment_id: PaymentId(Uuid::from_u128(n)),
            amount_minor: 700,
            method: "card".into(),
        }
    }

    fn result(event: &GatewayEvent) -> PaymentResult {
        match &event.kind {
            GatewayEventKind::Payment(payment) => payment.result,
            GatewayEventKind::Refund(_) => panic!("not a payment: {event:?}"),
        }
    }

    async fn declined_of_1000(decline_percent: u8) -> usize {
        let gateway = SandboxGateway::new(SandboxOptions {
            decline_percent,
            ..Default::default()
        });
        let mut declined = 0;
        for n in 0..1000 {
            let events = gateway.execute(&charge(n)).await;
            declined += usize::from(result(&events[0]) == PaymentResult::Declined);
        }
        declined
    }

    #[tokio::test]
    async fn the_decline_rate_is_kept() {
        assert_eq!(declined_of_1000(0).await, 0);
        assert_eq!(declined_of_1000(100).await, 1000);
        let third = declined_of_1000(30).await;
        assert!(
            (250..350).contains(&third),
            "{third} of 1000 declined at 30 %"
        );
    }

    #[tokio::test]
    async fn the_same_request_gets_the_same_answer() {
        let options = SandboxOptions {
            decline_percent: 50,
            ..Default::default()
        };
        for n in 0..50 {
            let first = SandboxGateway::new(options.clone())
                .execute(&charge(n))
                .await;
            let second = SandboxGateway::new(options.clone())
                .execute(&charge(n))
                .await;
            assert_eq!(first, second);
        }
    }

    #[tokio::test]
    async fn an_authorized_payment_is_captured_after_it() {
        let options = SandboxOptions {
            authorize_first: true,
            ..Default::default()
        };
        let events = SandboxGateway::new(options).execute(&charge(7)).await;
        let results: Vec<_> = events.iter().map(result).collect();
        assert_eq!(
            results,
            [PaymentResult::Authorized, PaymentResult::Captured]
        );
        assert_ne!(events[0].gateway_event_id, events[1].gateway_event_id);
    }

    #[tokio::test]
    async fn a_refund_can_fail() {
        let request = GatewayRequest::Refund {
            refund_id: RefundId(Uuid::from_u128(1)),
            payment_id: PaymentId(Uuid::from_u128(2)),
            amount_minor: 5,
        };
        let options = SandboxOptions {
            refund_failure_percent: 100,
            ..Default::default()
        };
        for (options, expected) in [
            (options, RefundResult::Failed),
            (SandboxOptions::default(), RefundResult::Refunded),
        ] {
            let events = SandboxGateway::new(options).execute(&request).await;
            match &events[..] {
                [
                    GatewayEvent {
                        kind: GatewayEventKind::Refund(refund),
                        ..
                    },
                ] => {
                    assert_eq!(refund.result, expected);
                }
                other => panic!("not one refund: {other:?}"),
            }
        }
    }

    #[test]
    fn the_delay_varies_around_its_mean() {
        let options = SandboxOptions {
            delay: Duration::from_millis(100),
            ..Default::default()
        };
        let gateway = SandboxGateway::new(options);
        let delays: Vec<_> = (0..100)
            .map(|n| gateway.delay(Uuid::from_u128(n)))
            .collect();
        let bounds = Duration::from_millis(50)..=Duration::from_millis(150);
        assert!(delays.iter().all(|delay| bounds.contains(delay)));
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }
}
