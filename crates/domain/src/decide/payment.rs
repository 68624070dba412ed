//! Money: what is asked of the payment gateway, and what its answers do. Refunds asked for and refunds done never
//! exceed what was captured.

use crate::limits::{PAYMENTS, REFUNDS};
use crate::{
    Cancel, CommandId, Effect, Event, Fault, Order, Pay, PaymentId, PaymentResult, PaymentStatus,
    RecordPayment, RecordRefund, RefundId, RefundOrder, RefundResult, Rejection, RejectionCode,
    Status,
};

pub(super) fn pay(
    order: &Order,
    command_id: CommandId,
    pay: &Pay,
    mut faults: Vec<Fault>,
) -> Result<Event, Rejection> {
    if order.payments.len() >= PAYMENTS {
        let detail =
            format!("{PAYMENTS} payments of the order were declined; it can have no more.");
        faults.push(Fault::new("", RejectionCode::LimitExceeded, detail));
    }
    Rejection::unless_none(order.version, faults)?;

    let method = pay.method.clone();
    Ok(match order.total_minor() {
        0 => Event::PaymentWaived { method },
        amount_minor => Event::PaymentRequested {
            payment_id: PaymentId(command_id.0),
            amount_minor,
            method,
        },
    })
}

pub(super) fn record_payment(
    order: &Order,
    command_id: CommandId,
    record: &RecordPayment,
    mut faults: Vec<Fault>,
) -> Result<Event, Rejection> {
    let payment_id = record.payment_id;
    let Some(payment) = order.payment(payment_id) else {
        let detail = format!("The order has no payment {payment_id}.");
        let fault = Fault::new("/payment_id", RejectionCode::UnknownPayment, detail);
        return Err(Rejection::new(order.version, fault));
    };
    let repeated =
        payment.status == PaymentStatus::Authorized && record.result == PaymentResult::Authorized;
    if payment.status.is_final() || repeated {
        let detail = format!("The payment is {} already.", payment.status.as_str());
        let fault = Fault::new("/result", RejectionCode::IllegalTransition, detail);
        return Err(Rejection::new(order.version, fault));
    }
    let (taken, asked) = (record.amount_minor, payment.amount_minor);
    if record.result == PaymentResult::Captured && taken != asked {
        let detail = format!("{taken} was captured, but {asked} asked for.");
        faults.push(Fault::new(
            "/amount_minor",
            RejectionCode::InvalidAmount,
            detail,
        ));
    }
    Rejection::unless_none(order.version, faults)?;

    // Nobody wants the money of a cancelled order: its late answers carry what gives it back.
    let cancelled = order.status == Status::Cancelled;
    let (amount_minor, reference) = (record.amount_minor, record.reference.clone());
    Ok(match record.result {
        PaymentResult::Authorized => {
            let effect = cancelled.then_some(Effect::Void { payment_id });
            Event::PaymentAuthorized {
                payment_id,
                amount_minor,
                reference,
                effect,
            }
        }
        PaymentResult::Captured => {
            let refund_id = RefundId(command_id.0);
            let effect = cancelled.then_some(Effect::Refund {
                refund_id,
                payment_id,
                amount_minor,
            });
            Event::PaymentCaptured {
                payment_id,
                amount_minor,
                reference,
                effect,
            }
        }
        PaymentResult::Declined => Event::PaymentDeclined {
            payment_id,
            reference,
        },
    })
}

pub(super) fn cancel(order: &Order, command_id: CommandId, cancel: &Cancel) -> Event {
    let void = order.open_payment().map(|payment| Effect::Void {
        payment_id: payment.payment_id,
    });
    let refund = order.captured_payment().and_then(|payment| {
        let amount_minor = order.refundable_minor();
        let (refund_id, payment_id) = (RefundId(command_id.0), payment.payment_id);
        (amount_minor > 0).then_some(Effect::Refund {
            refund_id,
            payment_id,
            amount_minor,
        })
    });
    Event::Cancelled {
        reason: cancel.reason.clone(),
        effect: void.or(refund),
    }
}

pub(super) fn refund(
    order: &Order,
    command_id: CommandId,
    refund: &RefundOrder,
    mut faults: Vec<Fault>,
) -> Result<Event, Rejection> {
    let amount_minor = refund.amount_minor;
    if order.refunds.len() >= REFUNDS {
        let detail = format!("The order has {REFUNDS} refunds, as many as it can have.");
        faults.push(Fault::new("", RejectionCode::LimitExceeded, detail));
    }
    let payment = match order.captured_payment() {
        Some(payment) if amount_minor <= order.refundable_minor() => payment,
        _ => {
            return Err(Rejection::with(
                order.version,
                too_much(order, amount_minor),
                faults,
            ));
        }
    };
    Rejection::unless_none(order.version, faults)?;

    Ok(Event::RefundRequested {
        refund_id: RefundId(command_id.0),
        payment_id: payment.payment_id,
        amount_minor,
        reason: refund.reason.clone(),
    })
}

fn too_much(order: &Order, amount_minor: i64) -> Fault {
    let detail = format!(
        "At most {} can be refunded ({} captured, {} refunded, {} pending); asked was {amount_minor}.",
        order.refundable_minor(),
        order.captured_minor(),
        order.refunded_minor(),
        order.refund_pending_minor(),
    );
    Fault::new("/amount_minor", RejectionCode::InvalidAmount, detail)
}

pub(super) fn record_refund(
    order: &Order,
    record: &RecordRefund,
    faults: Vec<Fault>,
) -> Result<Event, Rejection> {
    let refund_id = record.refund_id;
    let Some(refund) = order.refund(refund_id) else {
        let detail = format!("The order has no refund {refund_id}.");
        let fault = Fault::new("/refund_id", RejectionCode::UnknownRefund, detail);
        return Err(Rejection::new(order.version, fault));
    };
    if refund.status.is_final() {
        let detail = format!("The refund is {} already.", refund.status.as_str());
        let fault = Fault::new("/result", RejectionCode::IllegalTransition, detail);
        return Err(Rejection::new(order.version, fault));
    }
    Rejection::unless_none(order.version, faults)?;

    let amount_minor = refund.amount_minor;
    Ok(match record.result {
        RefundResult::Refunded => Event::RefundCompleted {
            refund_id,
            amount_minor,
        },
        RefundResult::Failed => Event::RefundFailed {
            refund_id,
            amount_minor,
        },
    })
}
