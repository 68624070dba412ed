//! What an event makes of an order. Events are facts: nothing here asks whether one should have happened, only whether
//! it fits.

use std::collections::BTreeMap;

use crate::order::line_index;
use crate::{
    Effect, Event, LineQuantity, NewLine, Order, OrderId, OrderLine, Payment, PaymentId,
    PaymentStatus, Refund, RefundId, RefundStatus, Status, Version,
};

/// An event does not fit the order it is said to have happened to: the log is damaged or out of order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreplayable {
    /// `placed` on an order that exists.
    #[error("the order exists already")]
    AlreadyPlaced,
    /// Anything else on an order that does not.
    #[error("the order does not exist yet")]
    NotPlaced,
    /// The state handed in is that of another order.
    #[error("the state is that of order {0}")]
    OtherOrder(OrderId),
    /// A line that the order does not have, or more of it than an `i64` can count.
    #[error("the event does not fit line {0}")]
    Line(u32),
    /// A payment that the order does not have.
    #[error("the order has no payment {0}")]
    Payment(PaymentId),
    /// A refund that the order does not have.
    #[error("the order has no refund {0}")]
    Refund(RefundId),
}

/// The order after `event`, one version further than before.
///
/// # Errors
/// The event does not fit the order.
pub fn evolve(
    order: Option<&Order>,
    order_id: OrderId,
    event: &Event,
) -> Result<Order, Unreplayable> {
    let Some(before) = order else {
        return placed(order_id, event).ok_or(Unreplayable::NotPlaced);
    };
    if before.order_id != order_id {
        return Err(Unreplayable::OtherOrder(before.order_id));
    }
    let mut order = before.clone();
    order.apply(event)?;
    order.version = order.version.next();
    Ok(order)
}

fn placed(order_id: OrderId, event: &Event) -> Option<Order> {
    let Event::Placed {
        customer_id,
        currency,
        lines,
        note,
    } = event
    else {
        return None;
    };
    Some(Order {
        order_id,
        version: Version::NONE.next(),
        status: Status::Placed,
        hold: None,
        customer_id: customer_id.clone(),
        currency: *currency,
        lines: lines.iter().map(untouched).collect(),
        note: note.clone(),
        address: None,
        annotations: BTreeMap::new(),
        payments: Vec::new(),
        refunds: Vec::new(),
    })
}

fn untouched(line: &NewLine) -> OrderLine {
    OrderLine {
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit_price_minor: line.unit_price_minor,
        shipped: 0,
        returned: 0,
    }
}

impl Order {
    fn apply(&mut self, event: &Event) -> Result<(), Unreplayable> {
        match event {
            Event::Placed { .. } => return Err(Unreplayable::AlreadyPlaced),
            Event::Amended { lines } => self.lines = lines.iter().map(untouched).collect(),
            Event::AddressSet { address } => self.address = Some(address.clone()),
            Event::Annotated { key, value } => {
                self.annotations.insert(key.clone(), value.clone());
            }
            Event::Held { reason } => self.hold = Some(reason.clone()),
            Event::Released => self.hold = None,
            Event::PaymentRequested {
                payment_id,
                amount_minor,
                method,
            } => {
                self.request_payment(*payment_id, *amount_minor, method);
            }
            Event::PaymentWaived { .. } => self.status = Status::Paid,
            Event::PaymentAuthorized {
                payment_id,
                reference,
                ..
            } => {
                self.settle_payment(*payment_id, PaymentStatus::Authorized, reference)?;
            }
            Event::PaymentCaptured {
                payment_id,
                reference,
                effect,
                ..
            } => {
                self.settle_payment(*payment_id, PaymentStatus::Captured, reference)?;
                self.leave_payment_pending(Status::Paid);
                self.expect_refund(effect.as_ref());
            }
            Event::PaymentDeclined {
                payment_id,
                reference,
            } => {
                self.settle_payment(*payment_id, PaymentStatus::Declined, reference)?;
                self.leave_payment_pending(Status::Placed);
            }
            Event::Shipped { lines, .. } => self.ship(lines)?,
            Event::Delivered => self.status = Status::Delivered,
            Event::Cancelled { effect, .. } => {
                self.status = Status::Cancelled;
                self.hold = None;
                self.expect_refund(effect.as_ref());
            }
            Event::RefundRequested {
                refund_id,
                amount_minor,
                ..
            } => {
                self.request_refund(*refund_id, *amount_minor);
            }
            Event::RefundCompleted { refund_id, .. } => {
                self.settle_refund(*refund_id, RefundStatus::Refunded)?;
            }
            Event::RefundFailed { refund_id, .. } => {
                self.settle_refund(*refund_id, RefundStatus::Failed)?;
            }
            Event::Returned { lines } => self.take_back(lines)?,
        }
        Ok(())
    }

    fn request_payment(&mut self, payment_id: PaymentId, amount_minor: i64, method: &str) {
        self.payments.push(Payment {
            payment_id,
            amount_minor,
            method: method.to_owned(),
            status: PaymentStatus::Requested,
            reference: None,
        });
        self.status = Status::PaymentPending;
    }

    fn settle_payment(
        &mut self,
        payment_id: PaymentId,
        status: PaymentStatus,
        reference: &str,
    ) -> Result<(), Unreplayable> {
        let mut payments = self.payments.iter_mut();
        let payment = payments.find(|payment| payment.payment_id == payment_id);
        let payment = payment.ok_or(Unreplayable::Payment(payment_id))?;
        payment.status = status;
        payment.reference = Some(reference.to_owned());
        Ok(())
    }

    /// The gateway's last word. A cancelled order stays cancelled.
    fn leave_payment_pending(&mut self, to: Status) {
        if self.status != Status::Cancelled {
            self.status = to;
        }
    }

    fn expect_refund(&mut self, effect: Option<&Effect>) {
        if let Some(Effect::Refund {
            refund_id,
            amount_minor,
            ..
        }) = effect
        {
            self.request_refund(*refund_id, *amount_minor);
        }
    }

    fn request_refund(&mut self, refund_id: RefundId, amount_minor: i64) {
        self.refunds.push(Refund {
            refund_id,
            amount_minor,
            status: RefundStatus::Pending,
        });
    }

    fn settle_refund(
        &mut self,
        refund_id: RefundId,
        status: RefundStatus,
    ) -> Result<(), Unreplayable> {
        let refund = self
            .refunds
            .iter_mut()
            .find(|refund| refund.refund_id == refund_id);
        refund.ok_or(Unreplayable::Refund(refund_id))?.status = status;
        Ok(())
    }

    fn ship(&mut self, lines: &[LineQuantity]) -> Result<(), Unreplayable> {
        self.count(lines, |line| &mut line.shipped)?;
        let all = self.lines.iter().all(|line| line.shipped == line.quantity);
        self.status = if all {
            Status::Shipped
        } else {
            Status::PartiallyShipped
        };
        Ok(())
    }

    fn take_back(&mut self, lines: &[LineQuantity]) -> Result<(), Unreplayable> {
        self.count(lines, |line| &mut line.returned)?;
        if self.lines.iter().all(|line| line.returned == line.quantity) {
            self.status = Status::Returned;
        }
        Ok(())
    }

    fn count(
        &mut self,
        lines: &[LineQuantity],
        counter: fn(&mut OrderLine) -> &mut i64,
    ) -> Result<(), Unreplayable> {
        for LineQuantity {
            line: number,
            quantity,
        } in lines
        {
            let line = line_index(*number).and_then(|index| self.lines.get_mut(index));
            let count = counter(line.ok_or(Unreplayable::Line(*number))?);
            *count = count
                .checked_add(*quantity)
                .ok_or(Unreplayable::Line(*number))?;
        }
        Ok(())
    }
}
