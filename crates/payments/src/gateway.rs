//! What a payment gateway is asked, what it answers, and which event asks what. Must not know queues or commands' wire
//! form.

use orderly_domain::{Action, Effect, Event, PaymentId, RecordPayment, RecordRefund, RefundId};

/// One thing for the gateway to do. Asked again for the same ids it must not do it twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayRequest {
    /// Take money.
    Charge {
        /// For which payment.
        payment_id: PaymentId,
        /// Minor units.
        amount_minor: i64,
        /// How, as the producer of `pay` named it.
        method: String,
    },
    /// Let go of a payment that was not captured.
    Void {
        /// Which.
        payment_id: PaymentId,
    },
    /// Pay back.
    Refund {
        /// Which refund.
        refund_id: RefundId,
        /// Of which captured payment.
        payment_id: PaymentId,
        /// Minor units.
        amount_minor: i64,
    },
}

impl GatewayRequest {
    /// What `event` asks of the gateway, if anything.
    #[must_use]
    pub fn from_event(event: &Event) -> Option<Self> {
        match event {
            Event::PaymentRequested {
                payment_id,
                amount_minor,
                method,
            } => Some(Self::Charge {
                payment_id: *payment_id,
                amount_minor: *amount_minor,
                method: method.clone(),
            }),
            Event::RefundRequested {
                refund_id,
                payment_id,
                amount_minor,
                ..
            } => Some(Self::Refund {
                refund_id: *refund_id,
                payment_id: *payment_id,
                amount_minor: *amount_minor,
            }),
            other => match other.effect()? {
                Effect::Void { payment_id } => Some(Self::Void {
                    payment_id: *payment_id,
                }),
                Effect::Refund {
                    refund_id,
                    payment_id,
                    amount_minor,
                } => Some(Self::Refund {
                    refund_id: *refund_id,
                    payment_id: *payment_id,
                    amount_minor: *amount_minor,
                }),
            },
        }
    }

    /// Its name in metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Charge { .. } => "charge",
            Self::Void { .. } => "void",
            Self::Refund { .. } => "refund",
        }
    }
}

/// What the gateway says happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayEvent {
    /// The gateway's own id of it, 1 to 255 visible ASCII characters. It makes the command's id, so the same event said
    /// twice is one command.
    pub gateway_event_id: String,
    /// What.
    pub kind: GatewayEventKind,
}

/// What happened at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayEventKind {
    /// To a payment.
    Payment(RecordPayment),
    /// To a refund.
    Refund(RecordRefund),
}

impl GatewayEvent {
    /// The command that records it on the order.
    #[must_use]
    pub fn action(&self) -> Action {
        match &self.kind {
            GatewayEventKind::Payment(payment) => Action::RecordPayment(payment.clone()),
            GatewayEventKind::Refund(refund) => Action::RecordRefund(refund.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use orderly_domain::{Effect, Event, PaymentId, RefundId};
    use uuid::Uuid;

    use super::GatewayRequest;

    const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(1));
    const REFUND: RefundId = RefundId(Uuid::from_u128(2));

    #[test]
    fn a_late_capture_on_a_cancelled_order_is_paid_back() {
        let event = Event::PaymentCaptured {
            payment_id: PAYMENT,
            amount_minor: 5,
            reference: "r".into(),
            effect: Some(Effect::Refund {
                refund_id: REFUND,
                payment_id: PAYMENT,
                amount_minor: 5,
            }),
        };
        assert_eq!(
            GatewayRequest::from_event(&event),
            Some(GatewayRequest::Refund {
                refund_id: REFUND,
                payment_id: PAYMENT,
                amount_minor: 5
            })
        );
    }

    #[test]
    fn a_cancel_without_money_asks_nothing() {
        let event = Event::Cancelled {
            reason: "r".into(),
            effect: None,
        };
        assert_eq!(GatewayRequest::from_event(&event), None);
    }
}
