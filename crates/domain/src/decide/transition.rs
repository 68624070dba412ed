//! Which command is possible in which state, held or not: the table of the state machine, and nothing of amounts.

use crate::limits::{PAYMENTS, REFUNDS};
use crate::{ActionKind, Command, Fault, Order, RejectionCode, Status};

/// The states in which a command is legal. The gateway's answers are legal wherever their payment or refund waits for
/// one, which `payment` decides.
fn legal_states(kind: ActionKind) -> &'static [Status] {
    use Status::{Delivered, Paid, PartiallyShipped, PaymentPending, Placed, Returned, Shipped};
    match kind {
        ActionKind::Place => &[],
        ActionKind::Amend | ActionKind::Pay => &[Placed],
        ActionKind::SetAddress => &[Placed, PaymentPending, Paid, PartiallyShipped],
        ActionKind::Annotate | ActionKind::Hold | ActionKind::Release => &[
            Placed,
            PaymentPending,
            Paid,
            PartiallyShipped,
            Shipped,
            Delivered,
        ],
        ActionKind::Ship => &[Paid, PartiallyShipped],
        ActionKind::Deliver => &[Shipped],
        ActionKind::Cancel => &[Placed, PaymentPending, Paid],
        ActionKind::Refund => &[Paid, PartiallyShipped, Shipped, Delivered, Returned],
        ActionKind::Return => &[Shipped, Delivered],
        ActionKind::RecordPayment | ActionKind::RecordRefund => &Status::ALL,
    }
}

/// Whether a hold stops this command. Not what keeps the record straight, and not the way out.
fn waits_for_release(kind: ActionKind) -> bool {
    match kind {
        ActionKind::Amend
        | ActionKind::Pay
        | ActionKind::Ship
        | ActionKind::Deliver
        | ActionKind::Refund
        | ActionKind::Return => true,
        // `place` finds the order in its way, and a second `hold` is an illegal transition, not one that could wait.
        ActionKind::Place
        | ActionKind::Hold
        | ActionKind::SetAddress
        | ActionKind::Annotate
        | ActionKind::Release
        | ActionKind::RecordPayment
        | ActionKind::Cancel
        | ActionKind::RecordRefund => false,
    }
}

/// Existence, version, hold and state, in this order.
pub(super) fn check(order: &Order, command: &Command) -> Result<(), Fault> {
    let kind = command.action.kind();
    if kind == ActionKind::Place {
        let detail = format!("The order exists already and is {}.", order.status.as_str());
        return Err(Fault::new("", RejectionCode::OrderExists, detail));
    }
    if let Some(expected) = command.expected_version
        && expected != order.version
    {
        let detail = format!("The order is at version {}, not {expected}.", order.version);
        return Err(Fault::new("", RejectionCode::VersionConflict, detail));
    }
    not_stopped(order, kind)?;
    legal(order, kind)
}

fn not_stopped(order: &Order, kind: ActionKind) -> Result<(), Fault> {
    let Some(reason) = order.hold.as_deref().filter(|_| waits_for_release(kind)) else {
        return Ok(());
    };
    let name = kind.as_str();
    let detail = format!("The order is held ({reason}); {name} is possible after release.");
    Err(Fault::new("", RejectionCode::OrderHeld, detail))
}

fn legal(order: &Order, kind: ActionKind) -> Result<(), Fault> {
    let (name, now) = (kind.as_str(), order.status.as_str());
    let states = legal_states(kind);
    let detail = if !states.contains(&order.status) {
        let states: Vec<_> = states.iter().map(|status| status.as_str()).collect();
        format!(
            "The order is {now}; {name} is possible only in {}.",
            states.join(", ")
        )
    } else if kind == ActionKind::Hold && order.held() {
        "The order is held already.".to_owned()
    } else if kind == ActionKind::Release && !order.held() {
        "The order is not held.".to_owned()
    } else {
        return Ok(());
    };
    Err(Fault::new("", RejectionCode::IllegalTransition, detail))
}

/// The names of the commands that a producer can send now with a chance to succeed. Never `record_payment` or
/// `record_refund`: these are the payment gateway's to send.
#[must_use]
pub fn allowed_commands(order: Option<&Order>) -> Vec<&'static str> {
    let Some(order) = order else {
        return vec![ActionKind::Place.as_str()];
    };
    let kinds = ActionKind::ALL.into_iter();
    kinds
        .filter(|kind| is_allowed(order, *kind))
        .map(ActionKind::as_str)
        .collect()
}

fn is_allowed(order: &Order, kind: ActionKind) -> bool {
    let has_room = match kind {
        ActionKind::RecordPayment | ActionKind::RecordRefund => false,
        ActionKind::Pay => order.payments.len() < PAYMENTS,
        ActionKind::Refund => order.refundable_minor() > 0 && order.refunds.len() < REFUNDS,
        _ => true,
    };
    has_room && not_stopped(order, kind).is_ok() && legal(order, kind).is_ok()
}
