//! What the role makes of each event.

use std::time::{Duration, Instant};

use orderly_domain::{
    Action, Effect, OrderId, PaymentResult, RecordPayment, RecordRefund, RefundResult,
};
use orderly_payments::SandboxOptions;
use orderly_protocol::Envelope;
use orderly_protocol::ids::{PAYMENTS_PRODUCER, command_id};
use uuid::Uuid;

use crate::support::{
    Fixture, TRACEPARENT, cancelled, payment_id, payment_requested, refund_id, refund_requested,
};

fn action(envelope: &Envelope) -> Action {
    envelope.command().unwrap().action
}

fn refunded(order: u128) -> Action {
    Action::RecordRefund(RecordRefund {
        refund_id: refund_id(order),
        result: RefundResult::Refunded,
    })
}

#[tokio::test]
async fn a_payment_request_delivered_five_times_is_one_command() {
    let mut fixture = Fixture::new().await;
    for _ in 0..5 {
        fixture.publish(1, 2, &payment_requested(1)).await;
    }
    let role = fixture.start(SandboxOptions::default());
    let commands = fixture.commands(5).await;
    let first = &commands[0];
    let key = format!("sandbox/{}/captured", payment_id(1));
    assert_eq!(first.command_id, command_id(PAYMENTS_PRODUCER, &key));
    assert_eq!(first.idempotency_key.as_deref(), Some(key.as_str()));
    assert_eq!(first.producer, PAYMENTS_PRODUCER);
    assert_eq!(first.order_id, OrderId(Uuid::from_u128(1)));
    assert_eq!(first.traceparent.as_deref(), Some(TRACEPARENT));
    let captured = RecordPayment {
        payment_id: payment_id(1),
        result: PaymentResult::Captured,
        amount_minor: 700,
        reference: format!("sandbox/{}", payment_id(1)),
    };
    assert_eq!(action(first), Action::RecordPayment(captured));
    // The worker applies a command id once, and a fingerprint of its own would be a conflict there.
    assert!(commands.iter().all(|again| {
        again.command_id == first.command_id && again.fingerprint == first.fingerprint
    }));
    role.stop().await;
}

#[tokio::test]
async fn a_void_asks_for_nothing_and_every_refund_is_recorded() {
    let mut fixture = Fixture::new().await;
    let role = fixture.start(SandboxOptions::default());
    let refund = |order| {
        let (refund_id, payment_id) = (refund_id(order), payment_id(order));
        Some(Effect::Refund {
            refund_id,
            payment_id,
            amount_minor: 700,
        })
    };
    fixture
        .publish(
            1,
            3,
            &cancelled(Some(Effect::Void {
                payment_id: payment_id(1),
            })),
        )
        .await;
    fixture.publish(2, 3, &cancelled(None)).await;
    fixture.publish(3, 4, &cancelled(refund(3))).await;
    let captured_late = orderly_domain::Event::PaymentCaptured {
        payment_id: payment_id(4),
        amount_minor: 700,
        reference: "r".into(),
        effect: refund(4),
    };
    fixture.publish(4, 4, &captured_late).await;
    fixture.publish(5, 4, &refund_requested(5)).await;
    let commands = fixture.commands(3).await;
    assert_eq!(
        commands.iter().map(action).collect::<Vec<_>>(),
        [refunded(3), refunded(4), refunded(5)]
    );
    role.stop().await;
}

#[tokio::test]
async fn a_declined_payment_is_recorded_as_declined() {
    let mut fixture = Fixture::new().await;
    let role = fixture.start(SandboxOptions {
        decline_percent: 100,
        ..Default::default()
    });
    fixture.publish(1, 2, &payment_requested(1)).await;
    match action(&fixture.command().await) {
        Action::RecordPayment(payment) => assert_eq!(payment.result, PaymentResult::Declined),
        other => panic!("not a payment: {other:?}"),
    }
    role.stop().await;
}

#[tokio::test]
async fn delays_overlap_and_each_order_keeps_its_order() {
    const ORDERS: u128 = 60;
    let mut fixture = Fixture::new().await;
    for order in 1..=ORDERS {
        fixture.publish(order, 2, &payment_requested(order)).await;
        fixture.publish(order, 4, &refund_requested(order)).await;
    }
    let delay = Duration::from_millis(200);
    let started = Instant::now();
    let role = fixture.start(SandboxOptions {
        delay,
        authorize_first: true,
        ..Default::default()
    });
    let commands = fixture.commands(3 * 60).await;
    // One after the other they would take at least half the delay each.
    assert!(
        started.elapsed() < delay / 2 * 120,
        "{:?}",
        started.elapsed()
    );
    for order in 1..=ORDERS {
        let of_order = commands
            .iter()
            .filter(|command| command.order_id.0 == Uuid::from_u128(order));
        let keys: Vec<_> = of_order
            .map(|command| command.idempotency_key.clone().unwrap())
            .collect();
        let (payment, refund) = (payment_id(order), refund_id(order));
        let expected = [
            format!("sandbox/{payment}/authorized"),
            format!("sandbox/{payment}/captured"),
            format!("sandbox/{refund}/refunded"),
        ];
        assert_eq!(keys, expected);
    }
    role.stop().await;
}
