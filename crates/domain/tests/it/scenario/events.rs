//! Events, as these commands make them.

use orderly_domain::{Currency, Event, LineQuantity, NewLine};

use super::{line, new_line, payment_id, refund_id};

pub(crate) fn placed(lines: &[NewLine]) -> Event {
    Event::Placed {
        customer_id: "customer".to_owned(),
        currency: Currency::new("EUR").unwrap(),
        lines: lines.to_vec(),
        note: None,
    }
}

pub(crate) fn held() -> Event {
    Event::Held {
        reason: "fraud check".to_owned(),
    }
}

pub(crate) fn payment_requested(payment: u128, amount_minor: i64) -> Event {
    let method = "card".to_owned();
    Event::PaymentRequested {
        payment_id: payment_id(payment),
        amount_minor,
        method,
    }
}

pub(crate) fn authorized(payment: u128, amount_minor: i64) -> Event {
    Event::PaymentAuthorized {
        payment_id: payment_id(payment),
        amount_minor,
        reference: "gateway-1".to_owned(),
        effect: None,
    }
}

pub(crate) fn captured(payment: u128, amount_minor: i64) -> Event {
    Event::PaymentCaptured {
        payment_id: payment_id(payment),
        amount_minor,
        reference: "gateway-1".to_owned(),
        effect: None,
    }
}

pub(crate) fn declined(payment: u128) -> Event {
    let reference = "gateway-1".to_owned();
    Event::PaymentDeclined {
        payment_id: payment_id(payment),
        reference,
    }
}

pub(crate) fn shipped(lines: &[LineQuantity]) -> Event {
    let (carrier, tracking) = ("post".to_owned(), "T1".to_owned());
    Event::Shipped {
        lines: lines.to_vec(),
        carrier,
        tracking,
    }
}

pub(crate) fn cancelled() -> Event {
    Event::Cancelled {
        reason: "changed my mind".to_owned(),
        effect: None,
    }
}

pub(crate) fn refund_requested(refund: u128, payment: u128, amount_minor: i64) -> Event {
    Event::RefundRequested {
        refund_id: refund_id(refund),
        payment_id: payment_id(payment),
        amount_minor,
        reason: "scratched".to_owned(),
    }
}

pub(crate) fn returned(lines: &[LineQuantity]) -> Event {
    Event::Returned {
        lines: lines.to_vec(),
    }
}

/// Events that lead to an order of 4 apples at 250, paid with payment 1.
pub(crate) fn paid_order() -> Vec<Event> {
    vec![
        placed(&[new_line("apple", 4, 250)]),
        payment_requested(1, 1_000),
        captured(1, 1_000),
    ]
}

/// The same, shipped whole.
pub(crate) fn shipped_order() -> Vec<Event> {
    let mut events = paid_order();
    events.push(shipped(&[line(1, 4)]));
    events
}
